import translation from "../es.json";
import hosts from "../hosts/es.json";
import media from "../media/es.json";
import pictures from "../pictures/es.json";

export default { translation, hosts, media, pictures };
