/** Single-key shortcuts of the call. They can be switched off (WCAG 2.1.4). */

export type Shortcut = "mic" | "camera" | "screen" | "chat" | "people" | "layout";

const KEYS: Readonly<Record<string, Shortcut>> = {
  m: "mic",
  v: "camera",
  s: "screen",
  c: "chat",
  p: "people",
  l: "layout",
};

export interface KeyPress {
  key: string;
  code: string;
  altKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  repeat: boolean;
  isComposing: boolean;
}

/** The shortcut of a key press, or null while somebody types or holds a modifier. */
export function shortcutOf(press: KeyPress, typing: boolean): Shortcut | null {
  if (typing || press.altKey || press.ctrlKey || press.metaKey || press.repeat || press.isComposing) return null;
  return KEYS[letterOf(press)] ?? null;
}

/**
 * The Latin letter that is meant. Latin layouts say it themselves, wherever they have it (AZERTY, Dvorak). On layouts of
 * other scripts it is the letter of the key's place, which is printed on the key beside theirs. Everything else that a
 * key may give, such as a comma in the place of M, is no letter.
 */
function letterOf({ key, code }: KeyPress): string {
  const otherScript = /^(?!\p{Script=Latin})[\p{L}\p{M}]/u.test(key);
  // "Process": an input method has taken the key, although there is nothing to type into.
  if (!otherScript && key !== "Process") return key.toLowerCase();
  return /^Key([A-Z])$/.exec(code)?.[1]?.toLowerCase() ?? "";
}

export function keyOf(shortcut: Shortcut): string {
  return (Object.keys(KEYS).find((key) => KEYS[key] === shortcut) ?? "").toUpperCase();
}
