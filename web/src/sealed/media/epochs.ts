/** Which epoch's keys are in the ring, and when the own one changes. */

import { importKey, keyIndex, type KeyRing } from "./keyRing";

/** The media key of a participant in one epoch, 32 bytes. */
export type KeyOf = (identity: string) => Promise<Uint8Array>;

/** Between the news of an epoch and the first frame that we encrypt with it: the others have it by then. */
export const SWITCH_MS = 200;
/** From our first frame of an epoch on, frames of older ones can still come so long. */
export const OLD_KEYS_MS = 10_000;

interface Epoch {
  index: number;
  /** Later ones are higher, also where the group was replaced and epochs begin at 0 again. */
  order: number;
  keyOf: KeyOf;
  own: string;
  /** Whose keys were asked for. */
  identities: Set<string>;
  /** It is time to speak with it. */
  due: boolean;
  /** Somebody is there who understands nothing of before. */
  hasNewcomers: boolean;
}

export class Epochs {
  /** By index; a newer epoch takes an older one's place. */
  private readonly live = new Map<number, Epoch>();
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();
  private count = 0;
  private newest: Epoch | null = null;
  private speaking: Epoch | null = null;

  constructor(
    private readonly ring: Pick<KeyRing, "put" | "use" | "drop">,
    /** Whether the own key could be had when its turn came. */
    private readonly onOwnKey: (own: string, hasKey: boolean) => void,
    /** We speak with the key of an epoch that somebody came in with. */
    private readonly onHeardByNewcomers: () => void,
  ) {}

  async set(number: number, keyOf: KeyOf, identities: readonly string[], own: string, hasNewcomers = false): Promise<void> {
    const epoch: Epoch = { index: keyIndex(number), order: ++this.count, keyOf, own, identities: new Set(), due: false, hasNewcomers };
    const replaced = this.live.get(epoch.index);
    this.live.set(epoch.index, epoch);
    this.newest = epoch;
    // Not put off by an epoch that comes after it: where many join, that would be for ever.
    if (this.speaking !== null) this.later(SWITCH_MS, () => void this.speak(epoch));
    try {
      await this.give(epoch, identities);
    } finally {
      if (this.speaking === null) await this.speak(epoch);
      await this.drop(replaced?.identities ?? [], epoch);
    }
  }

  async add(identity: string): Promise<void> {
    if (this.newest !== null) await this.give(this.newest, [identity]);
  }

  async renew(): Promise<void> {
    const epoch = this.newest;
    if (epoch === null) return;
    await this.give(epoch, [...epoch.identities]);
    if (epoch.due) await this.speak(epoch);
  }

  dispose(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.live.clear();
  }

  private async give(epoch: Epoch, identities: readonly string[]): Promise<void> {
    const others = identities.filter((identity) => identity !== epoch.own);
    // One that fails must not keep the others from theirs.
    const given = await Promise.allSettled(
      others.map(async (identity) => {
        epoch.identities.add(identity);
        const key = await importKey(await epoch.keyOf(identity));
        if (this.live.get(epoch.index) !== epoch) return;
        this.ring.put(identity, epoch.index, key);
      }),
    );
    const failed = given.find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  private async speak(epoch: Epoch): Promise<void> {
    epoch.due = true;
    let key: CryptoKey;
    try {
      key = await importKey(await epoch.keyOf(epoch.own));
    } catch {
      this.onOwnKey(epoch.own, false);
      return;
    }
    if (this.live.get(epoch.index) !== epoch || epoch.order < (this.speaking?.order ?? 0)) return;
    epoch.identities.add(epoch.own);
    this.ring.use(epoch.own, epoch.index, key);
    this.speaking = epoch;
    this.onOwnKey(epoch.own, true);
    if (epoch.hasNewcomers) this.onHeardByNewcomers();
    epoch.hasNewcomers = false;
    this.later(OLD_KEYS_MS, () => void this.forgetBefore(epoch));
  }

  private async forgetBefore(epoch: Epoch): Promise<void> {
    for (const old of [...this.live.values()].filter((one) => one.order < epoch.order)) {
      this.live.delete(old.index);
      await this.drop(old.identities, old);
    }
  }

  /** Of those to whom no newer key was given in the same place. */
  private async drop(identities: Iterable<string>, { index }: Epoch): Promise<void> {
    const kept = this.live.get(index);
    const gone = [...identities].filter((one) => one !== kept?.own && kept?.identities.has(one) !== true);
    await Promise.all(gone.map((identity) => this.ring.drop(identity, index)));
  }

  private later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      act();
    }, ms);
    this.timers.add(timer);
  }
}
