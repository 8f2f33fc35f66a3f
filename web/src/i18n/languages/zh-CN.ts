import pictures from "../pictures/zh-CN.json";
import translation from "../zh-CN.json";

export default { translation, pictures };
