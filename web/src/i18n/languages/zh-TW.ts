import translation from "../zh-TW.json";
import drawing from "../drawing/zh-TW.json";
import hosts from "../hosts/zh-TW.json";
import media from "../media/zh-TW.json";
import pictures from "../pictures/zh-TW.json";

export default { translation, drawing, hosts, media, pictures };
