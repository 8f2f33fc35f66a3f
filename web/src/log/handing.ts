/**
 * What this page has of a room that keeps nothing, handed to others, and what it takes from them. Nobody can say whether
 * it is true: it never takes the place of what the server sent, and says who handed it on.
 */

import { type Entry, parseEntries } from "./entries";
import { type LogState, MAX_PASSING } from "./fold";

const HANDED: ReadonlySet<string> = new Set(["message", "file", "poll"]);
/** What stands around the entries in the message to the server. */
const ENVELOPE_BYTES = 2_000;

/** As the server takes it: the newest that fit, oldest first. */
export function toHand(state: LogState, nowMs: number, maxEntries: number, maxBytes: number): Record<string, unknown>[] {
  const encoder = new TextEncoder();
  const handed: Record<string, unknown>[] = [];
  let left = maxBytes - ENVELOPE_BYTES;
  for (const entry of newestFirst(state)) {
    if (!HANDED.has(entry.verb) || entry.body === null || entry.to !== "" || isOver(entry, nowMs)) continue;
    const { verb, from, name, atMs, body, expiresAtMs } = entry;
    const one = { verb, from, name, at_ms: atMs, body, ...(expiresAtMs === null ? {} : { expires_at_ms: expiresAtMs }) };
    left -= encoder.encode(JSON.stringify(one)).length + 1;
    if (left < 0 || handed.length >= maxEntries) break;
    handed.unshift(one);
  }
  return handed;
}

/** `state` with what a member handed on, as far as it was not there. It is not changed. */
export function takeHanded(state: LogState, values: unknown): LogState {
  const known = new Set(state.passing.map(sameness));
  const taken: Entry[] = [];
  for (const entry of parseEntries(values)) {
    if (entry.seq !== 0 || entry.fromMember === "" || !HANDED.has(entry.verb)) continue;
    if (entry.target !== null || entry.to !== "" || known.has(sameness(entry))) continue;
    known.add(sameness(entry));
    taken.push({ ...entry, clientId: "" });
  }
  if (taken.length === 0) return state;
  const passing = [...taken, ...state.passing].sort((one, other) => one.atMs - other.atMs);
  return { ...state, passing: passing.slice(-MAX_PASSING) };
}

/** Of the same time, the one that came later is newer. */
const newestFirst = (state: LogState): Entry[] => [...state.passing].reverse().sort((one, other) => other.atMs - one.atMs);

const isOver = (entry: Entry, nowMs: number): boolean => entry.expiresAtMs !== null && entry.expiresAtMs <= nowMs;

/** Without a number nothing else tells two entries apart; several of one person may have the same time. */
function sameness({ verb, from, atMs, body }: Entry): string {
  return JSON.stringify([verb, from, atMs, body?.text ?? body?.file_id ?? body?.question]);
}
