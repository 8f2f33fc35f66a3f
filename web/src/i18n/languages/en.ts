import translation from "../en.json";
import drawing from "../drawing/en.json";
import hosts from "../hosts/en.json";
import media from "../media/en.json";
import pictures from "../pictures/en.json";

export default { translation, drawing, hosts, media, pictures };
