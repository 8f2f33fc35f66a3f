/** What a page shows of a room that lasts, and what happens in it. */

import { asRecord, type Role, text } from "../lib/api";
import type { Entry } from "./entries";
import type { RaisedHand, ShownLine } from "./fold";
import type { Pending } from "./outbox";
import type { Policy } from "./rest";
import type { Message } from "./sync";

export interface Knock {
  id: string;
  name: string;
  note: string;
}

export interface Typist {
  member: string;
  name: string;
}

/** How far another one has read. */
export interface ReadMark {
  member: string;
  name: string;
  seq: number;
}

export interface RoomSnapshot {
  lines: readonly ShownLine[];
  /** Messages and the like that are not in the log yet. */
  pending: readonly Pending[];
  hands: readonly RaisedHand[];
  /** Whether the newest page is there. */
  ready: boolean;
  /** Whether there are older entries than those that are there. */
  more: boolean;
  online: boolean;
  me: string;
  role: Role;
  title: string;
  policy: Policy;
  knocks: readonly Knock[];
  typing: readonly Typist[];
  /** Empty where the policy keeps it to oneself. */
  reads: readonly ReadMark[];
  unread: number;
  /** Up to where one had read when the page was opened: the rest is new. */
  newFrom: number;
}

export interface RoomNews {
  /** An entry that is new now, not one of an older page. */
  onEntry: (entry: Entry) => void;
  onKnock: (knock: Knock) => void;
  /** Whatever the server said, after it was taken in here. */
  onMessage: (message: Message) => void;
  /** What was in these entries is gone. */
  onGone: (seqs: readonly number[]) => void;
  /** The server did not take what one wrote. */
  onRefused: (code: string, pending: Pending) => void;
  /** The room is not this person's any more. */
  onOver: (code: string) => void;
}

export function toKnocks(value: unknown): Knock[] {
  return (Array.isArray(value) ? value : []).map((one: unknown) => {
    const raw = asRecord(one);
    return { id: text(raw.knock_id), name: text(raw.name), note: text(raw.note) };
  });
}

export function toReadMark(value: unknown): ReadMark {
  const raw = asRecord(value);
  return { member: text(raw.from), name: text(raw.name), seq: typeof raw.seq === "number" ? raw.seq : 0 };
}

/** `marks` with another one, which is newer than what is known of the same member. */
export function withReadMark(marks: readonly ReadMark[], mark: ReadMark): readonly ReadMark[] {
  const known = marks.find(({ member }) => member === mark.member);
  if (known !== undefined && known.seq >= mark.seq) return marks;
  return [...marks.filter((one) => one !== known), mark];
}
