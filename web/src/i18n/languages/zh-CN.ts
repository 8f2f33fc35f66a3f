import translation from "../zh-CN.json";
import drawing from "../drawing/zh-CN.json";
import hosts from "../hosts/zh-CN.json";
import media from "../media/zh-CN.json";
import pictures from "../pictures/zh-CN.json";

export default { translation, drawing, hosts, media, pictures };
