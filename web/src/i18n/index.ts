/** Languages: which there are, which one is in use, and how to change it. A browser fetches the one that it shows. */

import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { readText, writeText } from "../lib/storage";
import type en from "./languages/en";

export const LANGUAGES = ["en", "zh-CN"] as const;
export type Language = (typeof LANGUAGES)[number];

const KEY = "ting.lang";

const TEXTS: Record<Language, () => Promise<{ default: Record<keyof typeof en, object> }>> = {
  en: () => import("./languages/en"),
  "zh-CN": () => import("./languages/zh-CN"),
};

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: typeof en;
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

/** When its texts cannot be fetched, the language stays as it is. */
export async function setLanguage(language: Language): Promise<void> {
  const texts = await TEXTS[language]().catch(() => null);
  if (texts === null) return;
  for (const [namespace, resources] of Object.entries(texts.default)) {
    i18next.addResourceBundle(language, namespace, resources);
  }
  writeText("local", KEY, language);
  await i18next.changeLanguage(language);
}

export async function initI18n(): Promise<void> {
  i18next.on("languageChanged", (language) => {
    document.documentElement.lang = language;
  });
  const language = pickLanguage(readText("local", KEY), navigator.languages);
  const texts = await TEXTS[language]();
  await i18next.use(initReactI18next).init({
    resources: { [language]: { ...texts.default } },
    lng: language,
    // Every language has every text; a test sees to it.
    fallbackLng: false,
    // React escapes what it renders.
    interpolation: { escapeValue: false },
    react: { useSuspense: false },
  });
}
