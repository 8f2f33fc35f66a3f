import translation from "../en.json";
import pictures from "../pictures/en.json";

export default { translation, pictures };
