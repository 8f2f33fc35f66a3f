import translation from "../de.json";
import pictures from "../pictures/de.json";

export default { translation, pictures };
