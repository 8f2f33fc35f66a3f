/** A room's history, as one device reads it and hands it on. */

import type { Leaf, View } from "./engine";
import { knowsNewest, newHistorySecret, readEpochs, readSecrets, wrapEpoch } from "./history";
import { nameOf } from "./entrySeal";
import type { KeyRing } from "./keyRing";
import type { LinkKeys } from "./linkSecret";
import type { SealApi } from "./sealApi";

interface Options {
  api: Pick<SealApi, "history">;
  link: Pick<LinkKeys, "history">;
  ring: KeyRing;
  /** Whether the room shows those who come later what was said before. */
  sharesHistory: () => boolean;
}

export class RoomHistory {
  /** Members that were put out since the last history secret: who comes later than that needs more than the link to read on. */
  readonly putOut = new Set<string>();
  private renewing: string[] = [];
  /** Others may have a newer history secret than this device, which has it from the link alone. */
  private isBehind = true;
  private reached = 0;
  /** The epoch that this device has made itself: all that is there of the history it knew then. */
  private made = "";

  constructor(private readonly options: Options) {}

  /** Keys of the epochs before; of `view` also what its members hand on. */
  async read(view: View | null): Promise<void> {
    const { api, ring, link, sharesHistory } = this.options;
    if (!sharesHistory() || (view !== null && nameOf(view) === this.made)) return;
    ring.addSecrets([link.history]);
    for (;;) {
      const { epochs, reached, more } = await api.history(this.reached);
      const own = epochs.find((one) => view !== null && one.group === view.group && one.epoch === view.epoch);
      if (view !== null && own !== undefined) ring.addSecrets((await readSecrets(own, view.historySecret)) ?? []);
      ring.add(await readEpochs(ring, epochs));
      const newest = epochs.at(-1);
      if (newest !== undefined) this.isBehind = !(await knowsNewest(ring, newest));
      else if (this.reached === 0) this.isBehind = false;
      if (reached <= this.reached) return;
      this.reached = reached;
      if (!more) return;
    }
  }

  /** What the commit to `next`, by a member of `current` or from outside, keeps on the server; null: nothing. */
  async wrap({ group, epoch, chatKey, historySecret }: View, current: View | null) {
    // Whoever comes from outside may not be let read it: what it hands on is then under a secret of its own.
    await this.read(current).catch((error: unknown) => {
      if (current !== null) throw error;
    });
    const { ring, link, sharesHistory } = this.options;
    if (!sharesHistory()) return null;
    ring.addSecrets([link.history]);
    // Under the link's secret whoever was put out would read it.
    this.renewing = [...this.putOut];
    if (this.renewing.length > 0 || this.isBehind) ring.addSecrets([newHistorySecret()]);
    return wrapEpoch(ring, { group, epoch, key: chatKey }, historySecret);
  }

  /** Another's commit without a member, or that changed nothing but keys, has renewed the secret: all do not do it again. */
  handleFollowed(before: View, after: View): void {
    const lacks = ({ members }: View) => (leaf: Leaf) => !members.some(({ device }) => device === leaf.device);
    const isOnlyKeys = !before.members.some(lacks(after)) && !after.members.some(lacks(before));
    const has = ({ members }: View, who: string) => members.some(({ member }) => member === who);
    for (const who of this.putOut) if (!has(after, who) && (isOnlyKeys || has(before, who))) this.putOut.delete(who);
  }

  /** The server has taken the commit to `next`. */
  handleCommitted(next: View): void {
    if (this.options.sharesHistory()) this.made = nameOf(next);
    for (const who of this.renewing) this.putOut.delete(who);
    this.isBehind = false;
  }
}
