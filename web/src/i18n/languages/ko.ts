import translation from "../ko.json";
import pictures from "../pictures/ko.json";

export default { translation, pictures };
