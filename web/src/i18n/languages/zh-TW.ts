import pictures from "../pictures/zh-TW.json";
import translation from "../zh-TW.json";

export default { translation, pictures };
