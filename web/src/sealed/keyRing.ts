/** The chat keys that this browser holds for a room: one for each epoch that it was there in, or was told of. */

import { asRecord, text } from "../lib/api";
import { type Bytes, fromBase64url, fromUtf8, toBase64url, utf8 } from "./bytes";
import { type EpochKey, nameOf } from "./entrySeal";

/** Where rings outlive the page; tests give their own. */
export interface RingStore {
  load: (room: string) => Promise<unknown>;
  save: (room: string, ring: unknown) => Promise<void>;
}

export class KeyRing {
  private readonly held = new Map<string, Bytes>();
  /** History secrets, newest last. */
  private secrets: Bytes[] = [];
  private readonly listeners = new Set<() => void>();
  private saving: Promise<void> = Promise.resolve();
  private isDirty = false;

  constructor(
    private readonly room: string,
    private readonly store: RingStore,
  ) {}

  /** What an earlier page left. */
  async load(): Promise<void> {
    this.take(await this.store.load(this.room).catch(() => null));
  }

  /** Called after keys have come. */
  readonly listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  find(group: string, epoch: number): Bytes | null {
    return this.held.get(nameOf({ group, epoch })) ?? null;
  }

  get size(): number {
    return this.held.size;
  }

  /** What is held already stays. */
  add(keys: readonly EpochKey[]): void {
    const isNew = keys.map(({ group, epoch, key }) => this.put(nameOf({ group, epoch }), key));
    if (isNew.includes(true)) this.changed();
  }

  /** The one that is held is not the right one. */
  replace({ group, epoch, key }: EpochKey): void {
    this.held.set(nameOf({ group, epoch }), key);
    this.changed();
  }

  private put(name: string, key: Bytes): boolean {
    if (this.held.has(name)) return false;
    this.held.set(name, key);
    return true;
  }

  get historySecrets(): readonly Bytes[] {
    return this.secrets;
  }

  /** Newest last; those that are known already keep their place. */
  addSecrets(secrets: readonly Bytes[]): void {
    const known = new Set(this.secrets.map(toBase64url));
    const fresh = secrets.filter((secret) => !known.has(toBase64url(secret)));
    if (fresh.length === 0) return;
    this.secrets = [...this.secrets, ...fresh];
    this.changed();
  }

  /** All of it, for another device of the same person. */
  export(): Bytes {
    return utf8(JSON.stringify(this.plain()));
  }

  /** Throws `SyntaxError` or `TypeError` for what `export` has not made. */
  import(bytes: Bytes): void {
    this.take(JSON.parse(fromUtf8(bytes)));
  }

  private plain() {
    return {
      keys: [...this.held].map(([name, key]) => [name, toBase64url(key)]),
      secrets: this.secrets.map(toBase64url),
    };
  }

  private take(value: unknown): void {
    const { keys, secrets } = asRecord(value);
    let isNew = false;
    for (const one of Array.isArray(keys) ? (keys as unknown[]) : []) {
      const [name, key] = Array.isArray(one) ? (one as unknown[]) : [];
      const bytes = fromBase64url(text(key));
      if (text(name) === "" || bytes?.length !== 32) continue;
      isNew = this.put(text(name), bytes) || isNew;
    }
    const found = (Array.isArray(secrets) ? secrets : []).map((one) => fromBase64url(text(one)));
    this.addSecrets(found.filter((one): one is Bytes => one?.length === 32));
    if (isNew) this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
    this.isDirty = true;
    // Many keys at once are written once.
    this.saving = this.saving.then(() => this.save());
  }

  private async save(): Promise<void> {
    if (!this.isDirty) return;
    this.isDirty = false;
    await this.store.save(this.room, this.plain()).catch(() => undefined);
  }

  /** Everything that is held is written. */
  settled(): Promise<void> {
    return this.saving;
  }
}
