import translation from "../fr.json";
import pictures from "../pictures/fr.json";

export default { translation, pictures };
