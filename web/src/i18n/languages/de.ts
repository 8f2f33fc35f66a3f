import translation from "../de.json";
import hosts from "../hosts/de.json";
import pictures from "../pictures/de.json";

export default { translation, hosts, pictures };
