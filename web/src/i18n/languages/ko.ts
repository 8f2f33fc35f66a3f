import translation from "../ko.json";
import hosts from "../hosts/ko.json";
import media from "../media/ko.json";
import pictures from "../pictures/ko.json";

export default { translation, hosts, media, pictures };
