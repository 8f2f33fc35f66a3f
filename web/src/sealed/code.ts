/** What people compare: the same on all screens exactly when all are in the same group at the same epoch. */

import type { Bytes } from "./bytes";

export const CODE_BYTES = 36;
const GROUPS = 6;
const GROUP_BYTES = 5;

/** Of shapes that nobody takes for one another, and drawn by the page, so the same on every machine. Each is six bits. */
export const PICTURES = [
  "dog", "cat", "rabbit", "rat", "bird", "fish", "turtle", "snail", "squirrel", "bug", "shell", "feather", "bone",
  "egg", "apple", "banana", "cherry", "grape", "carrot", "wheat", "pizza", "cookie", "croissant", "cake", "candy",
  "cup", "wine", "milk", "leaf", "clover", "flower", "tree", "palm", "mountain", "sun", "moon", "star", "cloud",
  "rainbow", "snowflake", "umbrella", "lightning", "fire", "house", "tent", "castle", "car", "bus", "bicycle",
  "train", "tractor", "boat", "plane", "rocket", "anchor", "bell", "gift", "crown", "diamond", "heart", "scissors",
  "hammer", "guitar", "dice",
] as const;
export type Picture = (typeof PICTURES)[number];

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
export function picturesOf(secret: Bytes): Picture[] {
  return Array.from(secret.subarray(GROUPS * GROUP_BYTES, CODE_BYTES), (byte) => PICTURES[byte % PICTURES.length] ?? PICTURES[0]);
}
