import translation from "../ar.json";
import pictures from "../pictures/ar.json";

export default { translation, pictures };
