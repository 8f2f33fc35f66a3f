/** How a person is shown: name, and without a picture initials and a colour that stays the same. */

export const AVATAR_COLOURS = 8;

/** The name to show; people who gave none are shown by their identity. */
export function displayName(participant: { name?: string; identity: string }): string {
  return participant.name === undefined || participant.name === "" ? participant.identity : participant.name;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** One or two letters; for names in Chinese, Japanese or Korean writing the last two, as is the custom there. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const first = words[0];
  if (first === undefined) return "?";
  if (/^[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}]+$/u.test(first)) {
    return letters(first).slice(-2).join("");
  }
  const last = words.length > 1 ? words[words.length - 1] : undefined;
  return [first, last].map((word) => letters(word ?? "")[0] ?? "").join("").toLocaleUpperCase();
}

function letters(text: string): string[] {
  return Array.from(graphemes.segment(text), (part) => part.segment);
}

/** A number below `AVATAR_COLOURS`, always the same for the same identity (FNV-1a). */
export function avatarColour(identity: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < identity.length; index++) {
    hash = Math.imul(hash ^ identity.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % AVATAR_COLOURS;
}
