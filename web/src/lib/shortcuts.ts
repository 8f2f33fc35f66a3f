/** Single-key shortcuts of the call. They can be switched off (WCAG 2.1.4). */

export const SHORTCUTS = ["mic", "camera", "screen", "hand", "chat", "people", "layout", "fullScreen", "help"] as const;
export type Shortcut = (typeof SHORTCUTS)[number];

const KEYS: Readonly<Record<string, Shortcut>> = {
  m: "mic",
  v: "camera",
  s: "screen",
  h: "hand",
  c: "chat",
  p: "people",
  l: "layout",
  f: "fullScreen",
  "?": "help",
};

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
export function shortcutOf(press: KeyPress, typing: boolean): Shortcut | null {
  if (typing || hasModifier(press) || press.repeat || press.isComposing) return null;
  return KEYS[characterOf(press)] ?? null;
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

export function keyOf(shortcut: Shortcut): string {
  return (Object.keys(KEYS).find((key) => KEYS[key] === shortcut) ?? "").toUpperCase();
}

/** Whether a key press begins to hold the key that lets one talk while muted. */
export function isTalkKey(press: KeyPress): boolean {
  return press.code === "Space" && !hasModifier(press) && !press.shiftKey && !press.repeat && !press.isComposing;
}
