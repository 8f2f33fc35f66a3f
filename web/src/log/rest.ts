/** The parts of the REST API that are about the inside of a room that lasts. Every function throws `ApiError`. */

import { type Ask, asRecord, type EntryMode, request, type Role, roleOf, roomUrl, text } from "../lib/api";
import { type Entry, parseEntries } from "./entries";
import { type CallTimelines, type KeptTimelines, parseKept, parseTimelines } from "./timelines";

export interface Page {
  entries: Entry[];
  /** The `seq` of the newest entry of the room. */
  newest: number;
  /** Whether there are others, further on. */
  more: boolean;
}

export interface Policy {
  /** Whether the server can read what is said. */
  kind: "open" | "sealed";
  entry: EntryMode;
  locked: boolean;
  keeps: "log" | "nothing";
  history: boolean;
  /** Where the server keeps nothing: whoever comes later gets what was said from a member who is there. */
  member_history: boolean;
  retention_s: number | null;
  retention_from: "sending" | "reading";
  hold: boolean;
  read_markers: boolean;
  guests_write: boolean;
  files: boolean;
  /** Whether the log keeps how calls went for those who leave. */
  call_timelines: boolean;
}

export const DEFAULT_POLICY: Policy = {
  kind: "open",
  entry: "open",
  locked: false,
  keeps: "log",
  history: true,
  member_history: false,
  retention_s: null,
  retention_from: "sending",
  hold: false,
  read_markers: false,
  guests_write: true,
  files: true,
  call_timelines: false,
};

export function toPolicy(value: unknown): Policy {
  const raw = asRecord(value);
  const known = Object.keys(DEFAULT_POLICY).filter((field) => field in raw);
  return { ...DEFAULT_POLICY, ...Object.fromEntries(known.map((field) => [field, raw[field]])) };
}

export interface RoomState {
  title: string;
  policy: Policy;
  hasPassword: boolean;
  createdAtMs: number;
  /** Whether nothing of what was removed is left in any file of the database a few minutes later. */
  erasesFiles: boolean;
}

export interface Member {
  memberId: string;
  role: Role;
  name: string;
}

export interface Invitation {
  id: string;
  role: Role;
  usesLeft: number | null;
  expiresAtMs: number | null;
  /** Only in the answer to its making. */
  secret: string;
}

export interface Ban {
  memberId: string;
  name: string;
  atMs: number;
}

export interface TalkTime {
  identity: string;
  name: string;
  seconds: number;
  /** Whether they are in the call now. */
  present: boolean;
}

export interface NewBreakouts {
  rooms: number;
  how: "hand" | "random" | "choice";
  /** By member, the number of the room; only where they are divided by hand. */
  places: Readonly<Record<string, number>>;
  endsInS: number | null;
}

export interface RoomChange {
  title?: string;
  password?: string;
  policy?: Partial<Policy>;
}

const number = (value: unknown): number => (typeof value === "number" ? value : 0);
const perhaps = (value: unknown): number | null => (typeof value === "number" ? value : null);
const list = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value.map(asRecord) : []);
const part = (id: string): string => encodeURIComponent(id);

/** One room, asked with the token of now. */
export class RoomApi {
  private changing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly room: string,
    private readonly token: () => string | null,
  ) {}

  private ask(rest: string, ask: Ask = {}) {
    return request(roomUrl(this.room, rest), { token: this.token(), ...ask });
  }

  private act(rest: string, body?: unknown) {
    return this.ask(rest, { method: "POST", body });
  }

  /** The newest, or those before a `seq`. What was drawn is left out of it, as nobody reads it. */
  async page(before: number | null, limit: number): Promise<Page> {
    return this.pageOf("without", before, limit);
  }

  /** What was drawn: the newest, or those before a `seq`. */
  async drawn(before: number | null, limit: number): Promise<Page> {
    return this.pageOf("only", before, limit);
  }

  private async pageOf(drawn: "only" | "without", before: number | null, limit: number): Promise<Page> {
    return toPage(await this.ask(`/entries?limit=${limit}&drawn=${drawn}${before === null ? "" : `&before=${before}`}`));
  }

  /** The oldest of those that came after `since`. */
  async pageSince(since: number, limit: number): Promise<Page> {
    return toPage(await this.ask(`/entries?limit=${limit}&since=${since}`));
  }

  async search(words: string): Promise<Entry[]> {
    return parseEntries((await this.ask(`/search?q=${part(words)}`)).entries);
  }

  async pins(): Promise<Entry[]> {
    return parseEntries((await this.ask("/pins")).entries);
  }

  async state(): Promise<RoomState> {
    return toRoomState(await this.ask("/state"));
  }

  /** One after the other: what two changes at once leave of each other is the server's guess. */
  change(change: RoomChange): Promise<RoomState> {
    const next = this.changing.then(async () => toRoomState(await this.ask("", { method: "PATCH", body: change })));
    this.changing = next.catch(() => undefined);
    return next;
  }

  async remove(): Promise<void> {
    await this.ask("", { method: "DELETE" });
  }

  async members(): Promise<Member[]> {
    return list((await this.ask("/members")).members).map((one) => ({
      memberId: text(one.member_id),
      role: roleOf(one.role),
      name: text(one.name),
    }));
  }

  async setRole(member: string, role: Role, name: string): Promise<void> {
    await this.ask(`/members/${part(member)}`, { method: "PUT", body: { role, name } });
  }

  async invite(role: Role, uses: number | null, ttlS: number | null): Promise<Invitation> {
    return toInvitation(await this.act("/invitations", { role, uses, ttl_s: ttlS }));
  }

  async invitations(): Promise<Invitation[]> {
    return list((await this.ask("/invitations")).invitations).map(toInvitation);
  }

  async takeBack(invitation: string): Promise<void> {
    await this.ask(`/invitations/${part(invitation)}`, { method: "DELETE" });
  }

  async bans(): Promise<Ban[]> {
    return list((await this.ask("/bans")).bans).map((one) => ({
      memberId: text(one.member_id),
      name: text(one.name),
      atMs: number(one.at_ms),
    }));
  }

  async ban(member: string, name: string): Promise<void> {
    await this.act("/bans", { member_id: member, name });
  }

  async liftBan(member: string): Promise<void> {
    await this.ask(`/bans/${part(member)}`, { method: "DELETE" });
  }

  async stop(identity: string, source: "microphone" | "camera" | "screen"): Promise<void> {
    await this.act(`/participants/${part(identity)}/stop`, { source });
  }

  async muteAll(): Promise<void> {
    await this.act("/stop-all", { source: "microphone" });
  }

  async askToUnmute(identity: string): Promise<void> {
    await this.act(`/participants/${part(identity)}/ask-to-unmute`);
  }

  async putFirst(identity: string, shown: "camera" | "screen"): Promise<void> {
    await this.ask("/spotlight", { method: "PUT", body: { identity, shown } });
  }

  async endSpotlight(): Promise<void> {
    await this.ask("/spotlight", { method: "DELETE" });
  }

  /** Who has talked in the call, longest first. */
  async talkTimes(): Promise<TalkTime[]> {
    return list((await this.ask("/talk-times")).people).map((one) => ({
      identity: text(one.identity),
      name: text(one.name),
      seconds: number(one.seconds),
      present: one.present === true,
    }));
  }

  /** How the call goes for a member; empty: for oneself, and for moderators everybody. Without `entries`, how it goes now. */
  async callTimelines(member: string, entries: boolean): Promise<CallTimelines> {
    return parseTimelines(await this.ask(`/call-timelines?member=${part(member)}&entries=${String(entries)}`));
  }

  /** How calls went that are over, as far as that is kept; newest first. */
  async pastCallTimelines(before: number | null, limit = 50): Promise<KeptTimelines> {
    return parseKept(await this.ask(`/past-call-timelines?limit=${limit}${before === null ? "" : `&before=${before}`}`));
  }

  async forgetCallTimelines(member: string): Promise<void> {
    await this.ask(`/past-call-timelines/${part(member)}`, { method: "DELETE" });
  }

  async openBreakouts({ rooms, how, places, endsInS }: NewBreakouts): Promise<void> {
    await this.act("/breakouts", { rooms, how, places, ends_in_s: endsInS });
  }

  async closeBreakouts(): Promise<void> {
    await this.ask("/breakouts", { method: "DELETE" });
  }

  async endBreakoutsIn(seconds: number): Promise<void> {
    await this.ask("/breakouts", { method: "PATCH", body: { ends_in_s: seconds } });
  }

  async moveTo(member: string, number: number): Promise<void> {
    await this.ask(`/breakouts/people/${part(member)}`, { method: "PUT", body: { number } });
  }

  /** To another breakout room oneself; 0: back to the main room. */
  async goTo(number: number): Promise<void> {
    await this.act("/breakouts/go", { number });
  }

  async askForHelp(on: boolean): Promise<void> {
    await this.act("/breakouts/help", { on });
  }

  async kick(member: string): Promise<void> {
    await this.act(`/members/${part(member)}/kick`);
  }

  async lowerHands(): Promise<void> {
    await this.act("/lower-hands");
  }

  async endCall(): Promise<void> {
    await this.act("/end-call");
  }

  async answerKnock(knock: string, admit: boolean): Promise<void> {
    await this.act(`/knocks/${part(knock)}/${admit ? "admit" : "deny"}`);
  }
}

function toPage(answer: Record<string, unknown>): Page {
  return { entries: parseEntries(answer.entries), newest: number(answer.newest), more: answer.more === true };
}

function toRoomState(answer: Record<string, unknown>): RoomState {
  return {
    title: text(answer.title),
    policy: toPolicy(answer.policy),
    hasPassword: answer.has_password === true,
    createdAtMs: number(answer.created_at_ms),
    erasesFiles: answer.erasure === "files",
  };
}

function toInvitation(one: Record<string, unknown>): Invitation {
  return {
    id: text(one.invitation_id),
    role: roleOf(one.role),
    usesLeft: perhaps(one.uses_left),
    expiresAtMs: perhaps(one.expires_at_ms),
    secret: text(one.secret),
  };
}
