import translation from "../de.json";
import drawing from "../drawing/de.json";
import hosts from "../hosts/de.json";
import media from "../media/de.json";
import pictures from "../pictures/de.json";

export default { translation, drawing, hosts, media, pictures };
