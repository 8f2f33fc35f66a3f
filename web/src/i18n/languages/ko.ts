import translation from "../ko.json";
import drawing from "../drawing/ko.json";
import hosts from "../hosts/ko.json";
import media from "../media/ko.json";
import pictures from "../pictures/ko.json";

export default { translation, drawing, hosts, media, pictures };
