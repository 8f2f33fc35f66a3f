import translation from "../zh-TW.json";
import hosts from "../hosts/zh-TW.json";
import pictures from "../pictures/zh-TW.json";

export default { translation, hosts, pictures };
