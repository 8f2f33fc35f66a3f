/** Languages: which there are, which one is in use, and how to change it. */

import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { readText, writeText } from "../lib/storage";
import en from "./en.json";
import enPictures from "./pictures/en.json";
import zhCNPictures from "./pictures/zh-CN.json";
import zhCN from "./zh-CN.json";

export const LANGUAGES = ["en", "zh-CN"] as const;
export type Language = (typeof LANGUAGES)[number];

const KEY = "ting.lang";

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: { translation: typeof en; pictures: typeof enPictures };
  }
}

/** The best language of ours for the browser's list: any Chinese is Simplified Chinese, everything else English. */
export function pickLanguage(stored: string | null, wanted: readonly string[]): Language {
  const kept = LANGUAGES.find((language) => language === stored);
  if (kept !== undefined) return kept;
  for (const tag of wanted) {
    if (/^zh\b/i.test(tag)) return "zh-CN";
    if (/^en\b/i.test(tag)) return "en";
  }
  return "en";
}

export function currentLanguage(): Language {
  return i18next.language === "zh-CN" ? "zh-CN" : "en";
}

export async function setLanguage(language: Language): Promise<void> {
  writeText("local", KEY, language);
  await i18next.changeLanguage(language);
}

export async function initI18n(): Promise<void> {
  i18next.on("languageChanged", (language) => {
    document.documentElement.lang = language;
  });
  await i18next.use(initReactI18next).init({
    resources: {
      en: { translation: en, pictures: enPictures },
      "zh-CN": { translation: zhCN, pictures: zhCNPictures },
    },
    lng: pickLanguage(readText("local", KEY), navigator.languages),
    fallbackLng: "en",
    // React escapes what it renders.
    interpolation: { escapeValue: false },
    react: { useSuspense: false },
  });
}
