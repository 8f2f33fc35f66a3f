/**
 * Which rows of a long history are in the page. However far somebody scrolls up, there are so many and no more: what
 * is far away goes at one end while what is near comes in at the other.
 */

/** Some screens full, and more than a page of the log brings at once. */
export const MAX_SHOWN = 200;
/** So many come in at a time. */
export const STEP = 80;

/** The key of the first row that is shown; empty: the very first that there is; null: the newest ones are. */
export type First = string | null;

export interface Range {
  start: number;
  end: number;
}

/** The part of `keys` that is shown. A row that is not there any more leaves the newest. */
export function rangeOf(keys: readonly string[], first: First): Range {
  const newest = Math.max(0, keys.length - MAX_SHOWN);
  const found = first === null ? -1 : first === "" ? 0 : keys.indexOf(first);
  const start = found < 0 ? newest : Math.min(found, newest);
  return { start, end: Math.min(keys.length, start + MAX_SHOWN) };
}

/** Above what is shown; null: there is nothing that is not shown. */
export function further(keys: readonly string[], { start }: Range): First {
  return start === 0 ? null : start <= STEP ? "" : (keys[start - STEP] ?? "");
}

/** Below what is shown. */
export function nearer(keys: readonly string[], { start, end }: Range): First {
  return end + STEP >= keys.length ? null : (keys[start + STEP] ?? null);
}
