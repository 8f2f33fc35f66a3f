import translation from "../ja.json";
import drawing from "../drawing/ja.json";
import hosts from "../hosts/ja.json";
import media from "../media/ja.json";
import pictures from "../pictures/ja.json";

export default { translation, drawing, hosts, media, pictures };
