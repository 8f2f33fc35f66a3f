import { useSyncExternalStore } from "react";
import { languageInUse, type Namespace, subscribe, type Translate, translator } from "./translate";

interface Translation<Space extends Namespace> {
  t: Translate<Space>;
  /** As a BCP 47 tag. */
  language: string;
}

/** The texts of one kind in the language in use; whoever shows them shows them anew in another one. */
export function useTranslation<Space extends Namespace = "translation">(space: Space = "translation" as Space): Translation<Space> {
  const language = useSyncExternalStore(subscribe, languageInUse);
  return { t: translator(space), language };
}
