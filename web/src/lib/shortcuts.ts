/** Single-key shortcuts of the call. */

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
  altKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  repeat: boolean;
  isComposing: boolean;
}

/** The shortcut of a key press, or null while somebody types or holds a modifier. */
export function shortcutOf(press: KeyPress, typing: boolean): Shortcut | null {
  if (typing || press.altKey || press.ctrlKey || press.metaKey || press.repeat || press.isComposing) return null;
  return KEYS[press.key.toLowerCase()] ?? null;
}

export function keyOf(shortcut: Shortcut): string {
  return (Object.keys(KEYS).find((key) => KEYS[key] === shortcut) ?? "").toUpperCase();
}
