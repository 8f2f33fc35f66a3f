/** Texts by their keys, in the language in use: with what they name put in, and in the plural form of their number. */

import type lines from "../lines/texts/en.json";
import type en from "./languages/en";

type Model = typeof en & { lines: typeof lines };
export type Namespace = keyof Model;
/** Of one language, as it is fetched with the page. */
export type Texts = Record<keyof typeof en, object>;

type PluralForm = "zero" | "one" | "two" | "few" | "many" | "other";
type Keys<Tree> = {
  [Key in keyof Tree & string]: Tree[Key] extends string
    ? Key extends `${infer Base}_${PluralForm}` ? Base : Key
    : `${Key}.${Keys<Tree[Key]>}`;
}[keyof Tree & string];
export type Key<Space extends Namespace = "translation"> = Keys<Model[Space]> & string;

/** What stands in a text as `{{name}}`. `count` is what a plural form goes by. */
export type Values = Readonly<Record<string, string | number>>;
export type Translate<Space extends Namespace = "translation"> = (key: Key<Space>, values?: Values) => string;

/** Of these, what people wrote themselves: it may run in the other direction than the text that it stands in. */
const WRITTEN: ReadonlySet<string> = new Set(["name", "names", "who", "by", "presenter", "title", "provider"]);
const FROM_THE_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
/** Unicode's first strong isolate, and its end (UAX #9). */
const isolate = (text: string): string => `\u2068${text}\u2069`;

interface InUse {
  language: string;
  texts: Partial<Record<Namespace, object>>;
  plural: Intl.PluralRules;
  translators: Map<Namespace, (key: string, values?: Values) => string>;
}

let inUse = state("en", {});
let product = "";
const listeners = new Set<() => void>();

function state(language: string, texts: Partial<Texts>): InUse {
  return { language, texts, plural: new Intl.PluralRules(language), translators: new Map() };
}

/** `app` is the name of the product, which some texts say. */
export function nameProduct(app: string): void {
  product = app;
}

export function setTexts(language: string, texts: Texts): void {
  inUse = state(language, texts);
  for (const listener of listeners) listener();
}

/** What only a part of the page needs, fetched with it. Nothing happens when another language is in use by then. */
export function addTexts(language: string, space: Exclude<Namespace, keyof Texts>, texts: object): void {
  if (language !== inUse.language) return;
  inUse.texts = { ...inUse.texts, [space]: texts };
  inUse.translators.delete(space);
}

export const hasTexts = (space: Namespace): boolean => space in inUse.texts;

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

export function languageInUse(): string {
  return inUse.language;
}

/** The same function until another language is in use. */
export function translator<Space extends Namespace>(space: Space): Translate<Space> {
  const { translators } = inUse;
  const known = translators.get(space);
  if (known !== undefined) return known;
  const made = translate.bind(null, inUse, space);
  translators.set(space, made);
  return made;
}

function translate({ texts, plural }: InUse, space: Namespace, key: string, values: Values = {}): string {
  const { count } = values;
  const forNumber = typeof count === "number" ? find(texts[space], `${key}_${plural.select(count)}`) : undefined;
  const text = forNumber ?? find(texts[space], key) ?? key;
  return text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = String(values[name] ?? (name === "app" ? product : ""));
    return WRITTEN.has(name) && FROM_THE_RIGHT.test(value) !== FROM_THE_RIGHT.test(text) ? isolate(value) : value;
  });
}

function find(tree: unknown, path: string): string | undefined {
  let at = tree;
  for (const step of path.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return typeof at === "string" ? at : undefined;
}
