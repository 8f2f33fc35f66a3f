import translation from "../fr.json";
import drawing from "../drawing/fr.json";
import hosts from "../hosts/fr.json";
import media from "../media/fr.json";
import pictures from "../pictures/fr.json";

export default { translation, drawing, hosts, media, pictures };
