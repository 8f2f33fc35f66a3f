import translation from "../es.json";
import drawing from "../drawing/es.json";
import hosts from "../hosts/es.json";
import media from "../media/es.json";
import pictures from "../pictures/es.json";

export default { translation, drawing, hosts, media, pictures };
