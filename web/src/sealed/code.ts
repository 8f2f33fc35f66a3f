/** What people compare: the same on all screens exactly when all are in the same group at the same epoch. */

import type { Bytes } from "./bytes";

export const CODE_BYTES = 36;
const GROUPS = 6;
const GROUP_BYTES = 5;

/** Of shapes that nobody takes for one another; each stands for six bits. */
const PICTURES = [
  "🐶", "🐱", "🐭", "🐰", "🦊", "🐻", "🐼", "🐸", "🐵", "🐔", "🐧", "🦉", "🦄", "🐝", "🐌", "🦋",
  "🐢", "🐙", "🦀", "🐟", "🐬", "🐳", "🐘", "🦒", "🌵", "🌲", "🍀", "🍄", "🌻", "🌹", "🌙", "⭐",
  "🔥", "🌈", "⚡", "⛄", "🍎", "🍌", "🍇", "🍓", "🍒", "🍍", "🥕", "🌽", "🍞", "🧀", "🥚", "🍕",
  "⚽", "🏀", "🎸", "🎺", "🥁", "🎲", "🚗", "🚲", "🚀", "⚓", "⛵", "🏠", "🔑", "🔔", "✂", "☂",
] as const;

/** Thirty digits in six groups. `secret` has 36 bytes. */
export function digitsOf(secret: Bytes): string[] {
  const view = new DataView(secret.buffer, secret.byteOffset);
  return Array.from({ length: GROUPS }, (_, group) => {
    const at = group * GROUP_BYTES;
    const number = view.getUint8(at) * 2 ** 32 + view.getUint32(at + 1);
    return String(number % 100_000).padStart(5, "0");
  });
}

/** Six pictures of 64. */
export function picturesOf(secret: Bytes): string[] {
  return Array.from(secret.subarray(GROUPS * GROUP_BYTES, CODE_BYTES), (byte) => PICTURES[byte % PICTURES.length] ?? "");
}
