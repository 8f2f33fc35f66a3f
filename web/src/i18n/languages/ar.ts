import translation from "../ar.json";
import drawing from "../drawing/ar.json";
import hosts from "../hosts/ar.json";
import media from "../media/ar.json";
import pictures from "../pictures/ar.json";

export default { translation, drawing, hosts, media, pictures };
