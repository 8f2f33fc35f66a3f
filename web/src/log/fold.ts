/**
 * What a client knows of a room is a fold over entries. The order in which it hears of them does not matter, nor whether
 * it hears of one twice: a reaction may come before the page with the message that it is about, and the server's pages
 * have the newest text of a message already. So each fact is kept with the `seq` that it has from, and the newest wins.
 */

import { text } from "../lib/api";
import { type Entry, isLocked, numbers } from "./entries";

/** Verbs that are lines of their own in the room's history. */
const LINES: ReadonlySet<string> = new Set(["message", "file", "poll", "call_began", "call_ended", "came", "left", "moderation", "policy"]);
/** More would only be kept by a room that keeps nothing. */
export const MAX_PASSING = 500;
/** Between two entries with a `seq` there is place for as many as anybody will ever read. */
const PASSING_STEP = 1e-6;

interface Fact<Value> {
  seq: number;
  value: Value;
}
type Facts<Key, Value> = ReadonlyMap<Key, Fact<Value>>;

interface Edit {
  atMs: number;
  entry: Entry;
}

interface Reaction {
  emoji: string;
  from: string;
  name: string;
  on: boolean;
}

export interface LogState {
  lines: ReadonlyMap<number, Entry>;
  /** Lines of a room that keeps nothing, in the order in which they came. */
  passing: readonly Entry[];
  edits: Facts<number, Edit>;
  deleted: ReadonlySet<number>;
  closed: ReadonlySet<number>;
  reactions: ReadonlyMap<number, Facts<string, Reaction>>;
  pins: Facts<number, boolean>;
  votes: ReadonlyMap<number, Facts<string, readonly number[]>>;
  hands: Facts<string, { up: boolean; name: string }>;
  /** The newest entry that lowered everybody's hand. */
  loweredSeq: number;
  /** By member: the newest entry with which they left the call. */
  left: Facts<string, null>;
  /** By client id: one's own entries that are in the log. */
  own: ReadonlySet<string>;
  /** The newest `seq`, and how many entries without one have come: these stand behind it. */
  newest: number;
  passed: number;
}

export const EMPTY: LogState = {
  lines: new Map(),
  passing: [],
  edits: new Map(),
  deleted: new Set(),
  closed: new Set(),
  reactions: new Map(),
  pins: new Map(),
  votes: new Map(),
  hands: new Map(),
  loweredSeq: 0,
  left: new Map(),
  own: new Set(),
  newest: 0,
  passed: 0,
};

/** `state` is not changed. */
export function apply(state: LogState, entry: Entry): LogState {
  return fold(state, [entry]);
}

export function fold(state: LogState, entries: readonly Entry[]): LogState {
  if (entries.length === 0) return state;
  const draft = new Draft(state);
  for (const entry of entries) draft.take(entry);
  return draft.state;
}

/** What was in these entries is gone; the server has told it. */
export function without(state: LogState, seqs: readonly number[]): LogState {
  const gone = new Set(seqs);
  const lines = new Map(state.lines);
  for (const seq of gone) {
    const entry = lines.get(seq);
    if (entry !== undefined) lines.set(seq, { ...entry, body: null });
  }
  const edits = new Map([...state.edits].filter(([target, { value }]) => !gone.has(target) && !gone.has(value.entry.seq)));
  return { ...state, lines, edits };
}

class Draft {
  readonly state;

  constructor(old: LogState) {
    this.state = {
      ...old,
      lines: new Map(old.lines),
      edits: new Map(old.edits),
      deleted: new Set(old.deleted),
      closed: new Set(old.closed),
      reactions: new Map(old.reactions),
      pins: new Map(old.pins),
      votes: new Map(old.votes),
      hands: new Map(old.hands),
      left: new Map(old.left),
      own: new Set(old.own),
    };
  }

  take(entry: Entry): void {
    const { state } = this;
    if (entry.clientId !== "") {
      if (entry.seq === 0 && state.own.has(entry.clientId)) return;
      state.own.add(entry.clientId);
    }
    if (LINES.has(entry.verb)) this.takeLine(entry);
    if (entry.seq === 0) state.passed += 1;
    else state.newest = Math.max(state.newest, entry.seq);
    this.takeFact(entry, entry.seq === 0 ? state.newest + state.passed * PASSING_STEP : entry.seq);
  }

  private takeLine(entry: Entry): void {
    const { state } = this;
    if (entry.seq === 0) {
      state.passing = [...state.passing, entry].slice(-MAX_PASSING);
      return;
    }
    const known = state.lines.get(entry.seq);
    state.lines.set(entry.seq, known === undefined ? entry : newer(known, entry));
  }

  private takeFact(entry: Entry, seq: number): void {
    const { state } = this;
    const { target, body } = entry;
    if (entry.verb === "moderation" && body?.act === "lower_hands") state.loweredSeq = Math.max(state.loweredSeq, seq);
    if (entry.verb === "call_ended") state.loweredSeq = Math.max(state.loweredSeq, seq);
    if (entry.verb === "left") put(state.left, entry.from, seq, null);
    if (entry.verb === "hand" && body !== null && !isLocked(body)) put(state.hands, entry.from, seq, { up: body.up === true, name: entry.name });
    if (target === null) return;
    if (entry.verb === "delete") state.deleted.add(target);
    if (entry.verb === "close_poll") state.closed.add(target);
    // What cannot be opened says nothing; when it can be, it comes again.
    if (body === null || isLocked(body)) return;
    switch (entry.verb) {
      case "edit":
        put(state.edits, target, seq, { atMs: entry.atMs, entry });
        break;
      case "pin":
        put(state.pins, target, seq, body.on !== false);
        break;
      case "react": {
        const reaction = { emoji: text(body.emoji), from: entry.from, name: entry.name, on: body.on !== false };
        putInto(state.reactions, target, `${reaction.emoji} ${entry.from}`, seq, reaction);
        break;
      }
      case "vote":
        putInto(state.votes, target, entry.from, seq, numbers(body.choices));
        break;
      default:
    }
  }
}

function put<Key, Value>(facts: Map<Key, Fact<Value>>, key: Key, seq: number, value: Value): void {
  const known = facts.get(key);
  if (known === undefined || seq >= known.seq) facts.set(key, { seq, value });
}

function putInto<Key, Value>(all: Map<number, Facts<Key, Value>>, target: number, key: Key, seq: number, value: Value): void {
  const facts = new Map(all.get(target));
  put(facts, key, seq, value);
  all.set(target, facts);
}

const editedAt = (entry: Entry): number => (typeof entry.body?.edited_at_ms === "number" ? entry.body.edited_at_ms : 0);

/** Of two copies of one entry: gone is gone, and otherwise the later text; a closed poll stays closed. */
function newer(one: Entry, other: Entry): Entry {
  // What one wrote is there before the server says it: without a name.
  const known = { clientId: one.clientId || other.clientId, name: one.name || other.name };
  if (one.body === null) return { ...one, ...known };
  if (other.body === null) return { ...other, ...known };
  const isLater = editedAt(other) > editedAt(one) || (editedAt(other) === editedAt(one) && isLocked(one.body));
  const later = isLater ? other : one;
  const closed = one.body.closed === true || other.body.closed === true;
  return { ...later, ...known, body: closed ? { ...later.body, closed: true } : later.body };
}

// --- what is shown ----------------------------------------------------------------------------------------------

export interface ShownReaction {
  emoji: string;
  names: string[];
  members: string[];
}

export interface ShownLine {
  key: string;
  entry: Entry;
  /** The text of now; null: it was removed, or its time is over. */
  body: Record<string, unknown> | null;
  /** Nobody removed it: its time is over. */
  over: boolean;
  edited: boolean;
  pinned: boolean;
  reactions: ShownReaction[];
  /** By option of a poll: who chose it. */
  votes: string[][];
  closed: boolean;
}

export function lineOf(state: LogState, entry: Entry, nowMs: number): ShownLine {
  const { seq } = entry;
  const edit = seq === 0 ? undefined : state.edits.get(seq)?.value;
  const gone = entry.body === null || state.deleted.has(seq) || isOver(entry, nowMs);
  const isEditNewest = edit?.entry.body != null && edit.atMs >= editedAt(entry);
  return {
    key: seq === 0 ? `passing ${entry.from} ${entry.atMs} ${entry.clientId}` : `${seq}`,
    entry,
    over: gone && !state.deleted.has(seq),
    body: gone ? null : isEditNewest ? edit.entry.body : entry.body,
    edited: !gone && (isEditNewest || editedAt(entry) > 0),
    pinned: !gone && state.pins.get(seq)?.value === true,
    reactions: gone ? [] : reactionsOf(state.reactions.get(seq)),
    votes: entry.verb === "poll" && !gone ? votesOf(entry, state.votes.get(seq)) : [],
    closed: !gone && (entry.body?.closed === true || state.closed.has(seq)),
  };
}

/** Oldest first. */
export function linesOf(state: LogState, nowMs: number): ShownLine[] {
  const kept = [...state.lines.values()].sort((one, other) => one.seq - other.seq);
  const all = state.passing.length === 0 ? kept : mergeByTime(kept, state.passing.filter((entry) => !isOver(entry, nowMs)));
  return all.map((entry) => lineOf(state, entry, nowMs));
}

function mergeByTime(kept: readonly Entry[], passing: readonly Entry[]): Entry[] {
  const all = [...kept];
  for (const entry of passing) {
    const at = all.findIndex((other) => other.atMs > entry.atMs);
    all.splice(at === -1 ? all.length : at, 0, entry);
  }
  return all;
}

const isOver = (entry: Entry, nowMs: number): boolean => entry.expiresAtMs !== null && entry.expiresAtMs <= nowMs;

/** When the next of what is shown is over; null: never. */
export function nextExpiryMs(state: LogState, nowMs: number): number | null {
  let next: number | null = null;
  for (const entry of [...state.lines.values(), ...state.passing]) {
    if (entry.body === null || entry.expiresAtMs === null || entry.expiresAtMs <= nowMs) continue;
    next = Math.min(next ?? Infinity, entry.expiresAtMs);
  }
  return next;
}

/** In the order in which each was first given. */
function reactionsOf(facts: Facts<string, Reaction> | undefined): ShownReaction[] {
  const given = [...(facts?.values() ?? [])].filter(({ value }) => value.on).sort((one, other) => one.seq - other.seq);
  const shown = new Map<string, ShownReaction>();
  for (const { value } of given) {
    const { names, members } = shown.get(value.emoji) ?? { names: [], members: [] };
    shown.set(value.emoji, { emoji: value.emoji, names: [...names, value.name], members: [...members, value.from] });
  }
  return [...shown.values()];
}

function votesOf(poll: Entry, facts: Facts<string, readonly number[]> | undefined): string[][] {
  const options = Array.isArray(poll.body?.options) ? poll.body.options.length : 0;
  const votes = Array.from({ length: options }, (): string[] => []);
  for (const [member, { value }] of facts ?? []) for (const choice of value) votes[choice]?.push(member);
  for (const members of votes) members.sort();
  return votes;
}

export interface RaisedHand {
  member: string;
  name: string;
}

/** Who waits to speak, longest first. */
export function raisedHands(state: LogState): RaisedHand[] {
  return [...state.hands]
    .filter(([member, { seq, value }]) => value.up && seq > state.loweredSeq && seq > (state.left.get(member)?.seq ?? 0))
    .sort(([, one], [, other]) => one.seq - other.seq)
    .map(([member, { value }]) => ({ member, name: value.name }));
}
