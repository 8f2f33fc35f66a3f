import translation from "../fr.json";
import hosts from "../hosts/fr.json";
import media from "../media/fr.json";
import pictures from "../pictures/fr.json";

export default { translation, hosts, media, pictures };
