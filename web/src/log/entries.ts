/** Entries of a room's log as they come from the server. */

import { asRecord, text } from "../lib/api";

export const VERBS = [
  "message", "edit", "delete", "react", "pin", "file", "poll", "vote", "close_poll", "hand", "draw", "board",
  "call_began", "call_ended", "came", "left", "moderation", "policy",
] as const;
export type Verb = (typeof VERBS)[number];

export type Body = Record<string, unknown>;

export interface Entry {
  /** 1 for the first of the room; 0 where the room keeps nothing. */
  seq: number;
  verb: Verb;
  /** A member id; empty: the server. */
  from: string;
  name: string;
  atMs: number;
  /** Null: it is gone. */
  body: Body | null;
  /** Of one's own entries only. */
  clientId: string;
  target: number | null;
  /** The only other one who sees it; empty: everybody. */
  to: string;
  expiresAtMs: number | null;
  /** Who handed it on, in a room that keeps nothing: nobody else vouches for it. Empty: it is from the server. */
  fromMember: string;
}

/** Sealed for the members of the room, and not opened here. */
export const isLocked = (body: Body | null): boolean => body !== null && typeof body.sealed === "object" && body.sealed !== null;

const count = (value: unknown): number | null => (Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null);

/** Null for a verb of a newer server, and for what is no entry. */
export function parseEntry(value: unknown): Entry | null {
  const raw = asRecord(value);
  const verb = VERBS.find((known) => known === raw.verb);
  const seq = count(raw.seq);
  if (verb === undefined || seq === null) return null;
  return {
    seq,
    verb,
    from: text(raw.from),
    name: text(raw.name),
    atMs: count(raw.at_ms) ?? 0,
    body: raw.body === null || raw.body === undefined ? null : asRecord(raw.body),
    clientId: text(raw.client_id),
    target: count(raw.target),
    to: text(raw.to),
    expiresAtMs: count(raw.expires_at_ms),
    fromMember: text(raw.from_member),
  };
}

export function parseEntries(value: unknown): Entry[] {
  return Array.isArray(value) ? value.map(parseEntry).filter((entry) => entry !== null) : [];
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}

export function numbers(value: unknown): number[] {
  return Array.isArray(value) ? value.filter((one): one is number => Number.isSafeInteger(one)) : [];
}
