import pictures from "../pictures/pt-BR.json";
import translation from "../pt-BR.json";

export default { translation, pictures };
