/** The log of a sealed room, between what the server keeps and what the page shows. */

import type { Body, Entry } from "../log/entries";
import type { Pending } from "../log/outbox";
import { bindingFor, bindingOf, type EpochKey, type EpochName, nameOf, openBody, SEALED_VERBS, sealBody, sealedOf } from "./entrySeal";
import type { KeyRing } from "./keyRing";

/** More are not tried again when keys come; they are when they are looked at the next time. */
const MAX_LOCKED = 2000;

export class LogSeal {
  /** What could not be opened, by its place and sender. */
  private readonly locked = new Map<string, Entry>();
  /** By sender and client id: where a body was first seen. */
  private readonly seen = new Map<string, number>();
  private readonly listeners = new Set<(opened: readonly Entry[]) => void>();
  private readonly lockListeners = new Set<() => void>();
  private trying: Promise<void> = Promise.resolve();
  private readonly unlisten: () => void;

  /** `current` gives the key that new entries are sealed with; null while this device is not in the group. */
  constructor(
    private readonly ring: KeyRing,
    private readonly current: () => EpochKey | null,
    private readonly me: () => string,
  ) {
    this.unlisten = ring.listen(() => {
      this.trying = this.trying.then(() => this.tryLocked());
    });
  }

  close(): void {
    this.unlisten();
    this.listeners.clear();
    this.lockListeners.clear();
  }

  /** Called with entries that can be read now and could not before. */
  readonly onReadable = (listener: (opened: readonly Entry[]) => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Called when something could not be opened. */
  readonly onLocked = (listener: () => void): (() => void) => {
    this.lockListeners.add(listener);
    return () => this.lockListeners.delete(listener);
  };

  /** The epochs of what could not be opened. */
  lacking(): EpochName[] {
    const found = new Map<string, EpochName>();
    for (const { body } of this.locked.values()) {
      const sealed = sealedOf(body);
      if (sealed !== null) found.set(nameOf(sealed), { group: sealed.group, epoch: sealed.epoch });
    }
    return [...found.values()];
  }

  /** Keys that somebody says are those: kept where they open something that the one that is held does not. */
  async tryKeys(keys: readonly EpochKey[]): Promise<void> {
    for (const one of keys) {
      for (const entry of this.locked.values()) {
        const sealed = sealedOf(entry.body);
        if (sealed === null || nameOf(sealed) !== nameOf(one)) continue;
        if ((await openBody(one.key, sealed, bindingOf(entry))) === null) continue;
        this.ring.replace(one);
        break;
      }
    }
  }

  /** The body as it goes to the server; null: it has to wait until this device is in the group. */
  async seal({ verb, body, target, to, clientId }: Pick<Pending, "verb" | "body" | "target" | "to" | "clientId">): Promise<Body | null> {
    if (!SEALED_VERBS.has(verb)) return body;
    const key = this.current();
    if (key === null) return null;
    const sealed = await sealBody(key, bindingFor(verb, this.me(), target ?? null, to ?? ""), clientId, body);
    // The server has to know its file, and no more of it.
    return verb === "file" ? { file_id: body.file_id, size: body.stored_size, sealed } : { sealed };
  }

  /** What cannot be opened stays as it is. */
  async open(entries: readonly Entry[]): Promise<Entry[]> {
    return Promise.all(entries.map((entry) => this.openOne(entry)));
  }

  private async openOne(entry: Entry): Promise<Entry> {
    const sealed = sealedOf(entry.body);
    if (sealed === null || entry.body === null) return entry;
    const place = `${entry.from} ${entry.seq} ${sealed.data.slice(0, 32)}`;
    const key = this.ring.find(sealed.group, sealed.epoch);
    const binding = bindingOf(entry);
    const opened = key === null ? null : await openBody(key, sealed, binding);
    if (opened === null) {
      const isNews = !this.locked.has(place);
      if (this.locked.size < MAX_LOCKED) this.locked.set(place, entry);
      if (isNews) for (const listener of this.lockListeners) listener();
      return entry;
    }
    this.locked.delete(place);
    if (binding.verb === entry.verb && this.isRepeated(entry, opened.id)) return entry;
    const rest = Object.entries(entry.body).filter(([field]) => field !== "sealed");
    // Of what both say, its author is believed: a file's size is not that of what the server stores.
    return { ...entry, body: { ...Object.fromEntries(rest), ...opened.body } };
  }

  /** The server shows one body at two places: only the first is believed. */
  private isRepeated({ from, seq }: Entry, id: string): boolean {
    const name = `${from} ${id}`;
    const first = this.seen.get(name);
    if (first === undefined) this.seen.set(name, seq);
    return first !== undefined && first !== seq;
  }

  private async tryLocked(): Promise<void> {
    const tried = [...this.locked.values()];
    const opened = (await this.open(tried)).filter((entry) => sealedOf(entry.body) === null);
    if (opened.length > 0) for (const listener of this.listeners) listener(opened);
  }
}
