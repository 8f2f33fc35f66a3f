import translation from "../ja.json";
import pictures from "../pictures/ja.json";

export default { translation, pictures };
