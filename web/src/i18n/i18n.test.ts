import { describe, expect, it } from "vitest";
import { ACCOUNT_PROBLEMS } from "../account/problems";
import { ARCHIVE_PROBLEMS, FILE_PROBLEMS } from "../files/problem";
import { END_REASONS } from "../lib/call";
import { isAwayReason } from "../lib/comeback";
import { JOIN_PROBLEMS } from "../lib/joinProblem";
import { loadLineTexts } from "../lines/texts";
import { type Language, LANGUAGES, loadTexts, pickLanguage } from "./index";

interface Tree {
  [key: string]: string | Tree;
}

const PLURAL = /_(zero|one|two|few|many|other)$/;
const FORMS = ["zero", "one", "two"];

function flatten(tree: Tree, prefix = ""): Map<string, string> {
  const flat = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === "string") flat.set(prefix + key, value);
    else for (const [path, text] of flatten(value, `${prefix}${key}.`)) flat.set(path, text);
  }
  return flat;
}

async function textsOf(language: Language): Promise<Map<string, string>> {
  const { translation, ...others } = await loadTexts(language);
  const lines = await loadLineTexts(language);
  return flatten({ ...(translation as Tree), ...(others as Tree), lines: lines as Tree });
}

const placeholders = (text: string) => [...text.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map((match) => match[1]).sort();
/** A form for one number alone may say it in a word: "two people" is one word in Arabic. */
function saysItsNumber(language: string, key: string): boolean {
  const form = PLURAL.exec(key)?.[1] ?? "";
  const rules = new Intl.PluralRules(language);
  const held = Array.from({ length: 201 }, (_, count) => count).filter((count) => rules.select(count) === form);
  return FORMS.includes(form) && held.length === 1;
}

const bare = (keys: Iterable<string>) => [...new Set([...keys].map((key) => key.replace(PLURAL, "")))].sort();

describe.each(LANGUAGES)("%s", async (language) => {
  const texts = await textsOf(language);
  const source = await textsOf("en");

  it("has the same keys as English", () => {
    expect(bare(texts.keys())).toEqual(bare(source.keys()));
  });

  it("has every plural form that its grammar needs, and no other", () => {
    const needed = [...new Intl.PluralRules(language).resolvedOptions().pluralCategories].sort();
    const forms = new Map<string, string[]>();
    for (const key of texts.keys()) {
      const form = PLURAL.exec(key)?.[1];
      if (form === undefined) continue;
      const base = key.replace(PLURAL, "");
      forms.set(base, [...(forms.get(base) ?? []), form].sort());
    }
    expect(forms.size).toBeGreaterThan(0);
    for (const [base, found] of forms) expect([base, found]).toEqual([base, needed]);
  });

  it("has the placeholders of English in every text, and no empty text", () => {
    for (const [key, text] of texts) {
      const model = source.get(key) ?? source.get(key.replace(PLURAL, "_other")) ?? "";
      const wanted = placeholders(model);
      const found = placeholders(text);
      const free = saysItsNumber(language, key) && !found.includes("count");
      expect([key, found]).toEqual([key, free ? wanted.filter((name) => name !== "count") : wanted]);
      expect(text.trim()).not.toBe("");
    }
  });

  it("has a sentence for every way in which a call can fail", () => {
    for (const problem of ARCHIVE_PROBLEMS) expect(texts.has(`archive.problem.${problem}`)).toBe(true);
    for (const problem of FILE_PROBLEMS) expect(texts.has(`files.problem.${problem}`)).toBe(true);
    for (const problem of JOIN_PROBLEMS) expect(texts.has(`joinProblem.${problem}`)).toBe(true);
    for (const reason of END_REASONS) {
      expect(texts.has(`ended.${reason}.title`)).toBe(true);
      expect(texts.has(`ended.${reason}.text`)).toBe(true);
    }
    for (const reason of [...END_REASONS.filter(isAwayReason), "offline"]) {
      expect(texts.has(`away.${reason}.title`)).toBe(true);
      expect(texts.has(`away.${reason}.text`)).toBe(true);
    }
    for (const problem of ACCOUNT_PROBLEMS) expect(texts.has(`account.problem.${problem}`)).toBe(true);
    for (const device of ["camera", "mic"]) {
      for (const problem of ["denied", "missing", "busy", "insecure", "unknown"]) {
        expect(texts.has(`deviceProblem.${device}.${problem}`)).toBe(true);
      }
    }
  });
});

describe("pickLanguage", () => {
  it.each([
    [null, ["zh-TW", "en"], "zh-TW"],
    [null, ["zh-HK"], "zh-TW"],
    [null, ["de-AT", "en"], "de"],
    [null, ["xx", "en-GB", "zh"], "en"],
    [null, ["not a tag", "zh-Hans-SG"], "zh-CN"],
    [null, [], "en"],
    ["zh-CN", ["en"], "zh-CN"],
    ["xx", ["zh"], "zh-CN"],
  ])("stored %s and browser %j is %s", (stored, wanted, expected) => {
    expect(pickLanguage(stored, wanted)).toBe(expected);
  });
});
