import translation from "../de.json";
import hosts from "../hosts/de.json";
import media from "../media/de.json";
import pictures from "../pictures/de.json";

export default { translation, hosts, media, pictures };
