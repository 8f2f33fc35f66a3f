/** Whose devices were compared by people, in this browser. */

import { asRecord, text } from "../lib/api";
import type { Leaf } from "./engine";
import { load, save } from "./store";

export type Trust = "verified" | "new" | "changed";

export class Verified {
  /** By signature key: the member whose device it is. */
  private members: ReadonlyMap<string, string> = new Map();
  private readonly listeners = new Set<() => void>();

  constructor(private readonly room: string) {}

  async load(): Promise<void> {
    const kept = asRecord(await load("devices", `verified ${this.room}`));
    this.set(new Map(Object.entries(kept).map(([key, member]) => [key, text(member)])));
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): ReadonlyMap<string, string> => this.members;

  /** `changed`: another device of that member was verified, and this one was not. */
  trustOf({ member, signatureKey }: Leaf): Trust {
    if (this.members.get(signatureKey) === member) return "verified";
    return [...this.members.values()].includes(member) ? "changed" : "new";
  }

  async mark(leaves: readonly Leaf[]): Promise<void> {
    this.set(new Map([...this.members, ...leaves.map(({ signatureKey, member }) => [signatureKey, member] as const)]));
    await save("devices", `verified ${this.room}`, Object.fromEntries(this.members));
  }

  private set(members: ReadonlyMap<string, string>): void {
    this.members = members;
    for (const listener of this.listeners) listener();
  }
}
