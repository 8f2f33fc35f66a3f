import translation from "../pt-BR.json";
import drawing from "../drawing/pt-BR.json";
import hosts from "../hosts/pt-BR.json";
import media from "../media/pt-BR.json";
import pictures from "../pictures/pt-BR.json";

export default { translation, drawing, hosts, media, pictures };
