/** A room's history, as one device reads it and hands it on. */

import type { View } from "./engine";
import { knowsNewest, newHistorySecret, readEpochs, readSecrets, wrapEpoch } from "./history";
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
  /** Somebody was put out: who comes later than that needs more than the link to read on. */
  isToRenew = false;
  /** Others may have a newer history secret than this device, which has it from the link alone. */
  private isBehind = true;
  private reached = 0;

  constructor(private readonly options: Options) {}

  /** Keys of the epochs before; of `view` also what its members hand on. */
  async read(view: View | null): Promise<void> {
    const { api, ring, link, sharesHistory } = this.options;
    if (!sharesHistory()) return;
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

  /** What the commit to `next` keeps on the server; null: nothing. */
  async wrap({ group, epoch, chatKey, historySecret }: View) {
    const { ring, link, sharesHistory } = this.options;
    if (!sharesHistory()) return null;
    ring.addSecrets([link.history]);
    // Under the link's secret whoever was put out would read it.
    if (this.isToRenew || this.isBehind) ring.addSecrets([newHistorySecret()]);
    return wrapEpoch(ring, { group, epoch, key: chatKey }, historySecret);
  }

  /** The server has taken it. */
  handleCommitted(): void {
    this.isToRenew = false;
    this.isBehind = false;
  }
}
