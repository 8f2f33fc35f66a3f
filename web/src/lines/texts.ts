/** Texts of this part of the page, in the language that it is shown in. */

import { useEffect, useState } from "react";
import { currentLanguage, type Language } from "../i18n";
import { addTexts, hasTexts } from "../i18n/translate";
import { useTranslation } from "../i18n/useTranslation";

const TEXTS: Record<Language, () => Promise<{ default: object }>> = {
  en: () => import("./texts/en.json"),
  "zh-CN": () => import("./texts/zh-CN.json"),
  de: () => import("./texts/de.json"),
  fr: () => import("./texts/fr.json"),
  es: () => import("./texts/es.json"),
  ja: () => import("./texts/ja.json"),
  "zh-TW": () => import("./texts/zh-TW.json"),
  ar: () => import("./texts/ar.json"),
  "pt-BR": () => import("./texts/pt-BR.json"),
  ko: () => import("./texts/ko.json"),
};

/** Rejects when they cannot be fetched. */
export async function loadLineTexts(language: Language): Promise<object> {
  return (await TEXTS[language]()).default;
}

/** Before the part is shown; rejects likewise. */
export async function prepareLineTexts(): Promise<void> {
  const language = currentLanguage();
  addTexts(language, "lines", await loadLineTexts(language));
}

/** Whether they are there: another language may have been chosen meanwhile. */
export function useLineTexts(): boolean {
  const { language } = useTranslation();
  const [, setLoaded] = useState("");
  const ready = hasTexts("lines");
  useEffect(() => {
    if (ready) return;
    prepareLineTexts().then(
      () => {
        setLoaded(language);
      },
      () => undefined,
    );
  }, [ready, language]);
  return ready;
}
