/** Languages: which there are, which one is in use, and how to change it. A browser fetches the one that it shows. */

import { readText, writeText } from "../lib/storage";
import { languageInUse, nameProduct, setTexts, type Texts } from "./translate";

/** Every language by the name that its own readers give it, in the order of the list that one chooses from. */
export const NAMES = {
  en: "English",
  "zh-CN": "简体中文",
  de: "Deutsch",
  fr: "Français",
  es: "Español",
  ja: "日本語",
  "zh-TW": "繁體中文",
  ar: "العربية",
  "pt-BR": "Português (Brasil)",
  ko: "한국어",
} as const;
export type Language = keyof typeof NAMES;
export const LANGUAGES = Object.keys(NAMES) as Language[];

const FROM_THE_RIGHT: ReadonlySet<Language> = new Set(["ar"]);

const KEY = "ting.lang";

const TEXTS: Record<Language, () => Promise<{ default: Texts }>> = {
  en: () => import("./languages/en"),
  "zh-CN": () => import("./languages/zh-CN"),
  ko: () => import("./languages/ko"),
  "pt-BR": () => import("./languages/pt-BR"),
  ar: () => import("./languages/ar"),
  "zh-TW": () => import("./languages/zh-TW"),
  ja: () => import("./languages/ja"),
  es: () => import("./languages/es"),
  fr: () => import("./languages/fr"),
  de: () => import("./languages/de"),
};

/** Fetches the texts of a language; rejects when they cannot be fetched. */
export async function loadTexts(language: Language): Promise<Texts> {
  return (await TEXTS[language]()).default;
}

/** The best language of ours for the browser's list: the same in the same script, then the same one, else English. */
export function pickLanguage(stored: string | null, wanted: readonly string[]): Language {
  const kept = LANGUAGES.find((language) => language === stored);
  if (kept !== undefined) return kept;
  for (const tag of wanted) {
    const like = likely(tag);
    const same = LANGUAGES.filter((language) => likely(language)?.language === like?.language);
    const best = same.find((language) => likely(language)?.script === like?.script) ?? same[0];
    if (like !== null && best !== undefined) return best;
  }
  return "en";
}

// "zh-HK" is likely Traditional Chinese: Unicode's list of likely subtags knows the script. Null for what is no tag.
function likely(tag: string): Intl.Locale | null {
  try {
    return new Intl.Locale(tag).maximize();
  } catch {
    return null;
  }
}

export function currentLanguage(): Language {
  return LANGUAGES.find((language) => language === languageInUse()) ?? "en";
}

/** When its texts cannot be fetched, the language stays as it is. */
export async function setLanguage(language: Language): Promise<void> {
  const texts = await loadTexts(language).catch(() => null);
  if (texts === null) return;
  writeText("local", KEY, language);
  show(language, texts);
}

/** `app` is the name of the product, which some texts say. */
export async function initI18n(app: string): Promise<void> {
  nameProduct(app);
  const language = pickLanguage(readText("local", KEY), navigator.languages);
  show(language, await loadTexts(language));
}

function show(language: Language, texts: Texts): void {
  document.documentElement.lang = language;
  document.documentElement.dir = FROM_THE_RIGHT.has(language) ? "rtl" : "ltr";
  setTexts(language, texts);
}
