import translation from "../ja.json";
import hosts from "../hosts/ja.json";
import pictures from "../pictures/ja.json";

export default { translation, hosts, pictures };
