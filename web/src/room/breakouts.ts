/** What a page knows of the breakout rooms of a call: which there are, who is where, and when they end. */

import { asRecord, text } from "../lib/api";
import type { Draft } from "../log/outbox";
import type { Message } from "../log/sync";

export const HOWS = ["hand", "random", "choice"] as const;
export type How = (typeof HOWS)[number];

export interface Named {
  member: string;
  name: string;
}

export interface BreakoutRoom {
  /** 0: the main room. */
  number: number;
  people: readonly Named[];
}

export interface BreakoutState {
  open: boolean;
  how: How;
  rooms: readonly BreakoutRoom[];
  /** By this device's clock; null: nobody has said when. */
  endsAtMs: number | null;
  /** Who asks for a host. */
  help: readonly Named[];
  hosts: readonly string[];
  /** In which one is. */
  mine: number;
}

const NONE: BreakoutState = { open: false, how: "hand", rooms: [], endsAtMs: null, help: [], hosts: [], mine: 0 };
/** What is written in a breakout room is for those in it first. */
const PLACED: ReadonlySet<string> = new Set(["message", "file", "poll"]);

const list = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value.map(asRecord) : []);
const named = (value: unknown): Named[] => list(value).map((one) => ({ member: text(one.member_id), name: text(one.name) }));

export const breakoutOf = (body: Record<string, unknown> | null): number =>
  typeof body?.breakout === "number" && Number.isSafeInteger(body.breakout) ? body.breakout : 0;

export class Breakouts {
  state: BreakoutState = NONE;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly me: string) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): BreakoutState => this.state;

  /** A message of the room's connection. */
  readonly hear = (message: Message): void => {
    // A connection that was made anew says it again where there are some.
    if (message.type === "opened") this.set(NONE);
    if (message.type === "breakouts") this.set(this.read(message));
  };

  /** As it is written here. */
  readonly mark = (draft: Draft): Draft => {
    const { mine } = this.state;
    if (mine === 0 || !PLACED.has(draft.verb) || draft.to !== undefined || draft.body.announce === true) return draft;
    return { ...draft, body: { ...draft.body, breakout: mine } };
  };

  private read(message: Message): BreakoutState {
    if (message.open !== true) return NONE;
    const rooms = list(message.rooms).map((one) => ({
      number: typeof one.number === "number" ? one.number : 0,
      people: named(one.people),
    }));
    return {
      open: true,
      how: HOWS.find((how) => how === message.how) ?? "hand",
      rooms,
      endsAtMs: typeof message.ends_in_ms === "number" ? Date.now() + message.ends_in_ms : null,
      help: named(message.help),
      hosts: Array.isArray(message.hosts) ? message.hosts.filter((one): one is string => typeof one === "string") : [],
      mine: this.placeIn(rooms),
    };
  }

  /** On the way from one to another one is in none, and still where one was. */
  private placeIn(rooms: readonly BreakoutRoom[]): number {
    const place = rooms.find(({ people }) => people.some(({ member }) => member === this.me));
    return place?.number ?? (this.state.mine < rooms.length ? this.state.mine : 0);
  }

  private set(state: BreakoutState): void {
    this.state = state;
    for (const listener of this.listeners) listener();
  }
}
