/** Single-key shortcuts of the call. They can be changed and switched off (WCAG 2.1.4). */

export const SHORTCUTS = ["mic", "camera", "screen", "hand", "react", "chat", "people", "layout", "fullScreen", "help"] as const;
export type Shortcut = (typeof SHORTCUTS)[number];

/** The character that each has, in lower case; empty: none. */
export type Keys = Readonly<Record<Shortcut, string>>;

export const DEFAULT_KEYS: Keys = {
  mic: "m",
  camera: "v",
  screen: "s",
  hand: "h",
  react: "e",
  chat: "c",
  people: "p",
  layout: "l",
  fullScreen: "f",
  help: "?",
};

/** As they were kept: whatever is damaged, or would be there twice, is as it was made. One that was not there yet takes no
 * key away from another. */
export function parseKeys(value: unknown): Keys {
  const raw = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const keys: Record<Shortcut, string> = { ...DEFAULT_KEYS };
  for (const shortcut of SHORTCUTS) {
    const key = raw[shortcut];
    if (typeof key === "string" && (key === "" || isCharacter(key))) keys[shortcut] = key;
    else if (key === undefined && Object.values(raw).includes(DEFAULT_KEYS[shortcut])) keys[shortcut] = "";
  }
  const taken = Object.values(keys).filter((key) => key !== "");
  return new Set(taken).size === taken.length ? keys : DEFAULT_KEYS;
}

const isCharacter = (key: string) => /^[^\s\p{C}\p{Lu}]$/u.test(key);

export interface KeyPress {
  key: string;
  code: string;
  shiftKey: boolean;
  altKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  repeat: boolean;
  isComposing: boolean;
}

/** The shortcut of a key press, or null while somebody types or holds a modifier. */
export function shortcutOf(press: KeyPress, typing: boolean, keys: Keys): Shortcut | null {
  const key = typing ? "" : keyOfPress(press);
  return SHORTCUTS.find((shortcut) => key !== "" && keys[shortcut] === key) ?? null;
}

/** The character that a shortcut may have; empty where a press is none. */
export function keyOfPress(press: KeyPress): string {
  if (hasModifier(press) || press.repeat || press.isComposing) return "";
  const character = characterOf(press);
  return isCharacter(character) ? character : "";
}

function hasModifier(press: Pick<KeyPress, "altKey" | "ctrlKey" | "metaKey">): boolean {
  return press.altKey || press.ctrlKey || press.metaKey;
}

/**
 * The Latin letter or sign that is meant. Latin layouts say it themselves, wherever they have it (AZERTY, Dvorak). On layouts of
 * other scripts it is the letter of the key's place, which is printed on the key beside theirs. Everything else that a
 * key may give, such as a comma in the place of M, is no letter. Arabic has a question mark of its own.
 */
function characterOf({ key, code }: KeyPress): string {
  const otherScript = /^(?!\p{Script=Latin})[\p{L}\p{M}]/u.test(key);
  // "Process": an input method has taken the key, although there is nothing to type into.
  if (!otherScript && key !== "Process") return key === "؟" ? "?" : key.toLowerCase();
  return /^Key([A-Z])$/.exec(code)?.[1]?.toLowerCase() ?? "";
}

/** As it is printed on the key; undefined where there is none, or shortcuts are off. */
export function keyLabel(keys: Keys | null, shortcut: Shortcut): string | undefined {
  const key = keys?.[shortcut] ?? "";
  return key === "" ? undefined : key.toUpperCase();
}

/** What a button does, with the key that does it too. */
export function withKey(tip: string, key: string | undefined): string {
  return key === undefined ? tip : `${tip} (${key})`;
}

/** Whether a key press begins to hold the key that lets one talk while muted. */
export function isTalkKey(press: KeyPress): boolean {
  return press.code === "Space" && !hasModifier(press) && !press.shiftKey && !press.repeat && !press.isComposing;
}
