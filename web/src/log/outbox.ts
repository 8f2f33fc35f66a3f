/** What one wrote and the server has not acknowledged yet. It outlives a reload, and is sent again with the same id. */

import { asRecord, text } from "../lib/api";
import { newClientId } from "../lib/keys";
import { readJson, writeJson } from "../lib/storage";
import { type Body, type Verb, VERBS } from "./entries";

export interface Draft {
  verb: Verb;
  body: Body;
  target?: number;
  to?: string;
}

export interface Pending extends Draft {
  clientId: string;
  /** When it was written, by the clock of this device: only for its place among others that wait. */
  atMs: number;
  /** Why the server did not take it; null while it is on its way. */
  failed: string | null;
}

const MAX_WAITING = 200;
const keyOf = (room: string, member: string) => `ting.outbox.${room} ${member}`;

function parse(value: unknown): Pending[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((one: unknown): Pending[] => {
    const raw = asRecord(one);
    const verb = VERBS.find((known) => known === raw.verb);
    const clientId = text(raw.clientId);
    if (verb === undefined || clientId === "") return [];
    return [
      {
        clientId,
        verb,
        body: asRecord(raw.body),
        target: typeof raw.target === "number" ? raw.target : undefined,
        to: text(raw.to) || undefined,
        atMs: typeof raw.atMs === "number" ? raw.atMs : 0,
        failed: text(raw.failed) || null,
      },
    ];
  });
}

/** Of one person in one room, in the order of writing. */
export class Outbox {
  waiting: readonly Pending[];
  private readonly key: string;

  constructor(room: string, member: string) {
    this.key = keyOf(room, member);
    this.waiting = parse(readJson("session", this.key));
  }

  add(draft: Draft, nowMs: number): Pending {
    const pending = { ...draft, clientId: newClientId(), atMs: nowMs, failed: null };
    this.set([...this.waiting, pending].slice(-MAX_WAITING));
    return pending;
  }

  find(clientId: string): Pending | undefined {
    return this.waiting.find((one) => one.clientId === clientId);
  }

  remove(clientId: string): void {
    this.set(this.waiting.filter((one) => one.clientId !== clientId));
  }

  /** With null it is on its way again. */
  setFailed(clientId: string, failed: string | null): void {
    this.set(this.waiting.map((one) => (one.clientId === clientId ? { ...one, failed } : one)));
  }

  private set(waiting: readonly Pending[]): void {
    this.waiting = waiting;
    writeJson("session", this.key, waiting);
  }
}
