import translation from "../es.json";
import pictures from "../pictures/es.json";

export default { translation, pictures };
