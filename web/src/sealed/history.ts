/**
 * The chat keys of former epochs, for those who come later. Each epoch's key is kept on the server under the newest
 * history secret H, and the list of all H under a key of the epoch: whoever is in the group reads all of it. The first H
 * comes from the link, so that somebody who finds nobody there reads it too; when somebody was put out, the next H is a
 * random one, which the link does not give.
 */

import { text } from "../lib/api";
import { type Bytes, fromBase64url, fromUtf8, open, random, seal, toBase64url, utf8 } from "./bytes";
import type { EpochKey } from "./entrySeal";
import type { KeyRing } from "./keyRing";
import type { EpochHistory } from "./sealApi";

const SECRET_BYTES = 32;

export const newHistorySecret = (): Bytes => random(SECRET_BYTES);

const aadOf = (group: string, epoch: number): Bytes => utf8(`ting history ${group} ${epoch}`);

/** `epochSecret` is of the exporter ("ting history"). Null: this device knows no history secret. */
export async function wrapEpoch(ring: KeyRing, { group, epoch, key }: EpochKey, epochSecret: Bytes): Promise<EpochHistory | null> {
  const newest = ring.historySecrets.at(-1);
  if (newest === undefined) return null;
  const aad = aadOf(group, epoch);
  const list = utf8(JSON.stringify(ring.historySecrets.map(toBase64url)));
  return { group, epoch, wrap: await seal(newest, key, aad), secrets: await seal(epochSecret, list, aad) };
}

/** The history secrets that members of this epoch hand on; null: they cannot be read with this. */
export async function readSecrets({ group, epoch, secrets }: EpochHistory, epochSecret: Bytes): Promise<Bytes[] | null> {
  const plain = await open(epochSecret, secrets, aadOf(group, epoch));
  if (plain === null) return null;
  try {
    const list: unknown = JSON.parse(fromUtf8(plain));
    const found = (Array.isArray(list) ? list : []).map((one) => fromBase64url(text(one)));
    return found.filter((one): one is Bytes => one?.length === SECRET_BYTES);
  } catch {
    return null;
  }
}

/** Whether the ring has the history secret of this epoch, which is the newest one. */
export async function knowsNewest(ring: KeyRing, { group, epoch, wrap }: EpochHistory): Promise<boolean> {
  const opened = await Promise.all(ring.historySecrets.map((secret) => open(secret, wrap, aadOf(group, epoch))));
  return opened.some((key) => key !== null);
}

/** The chat keys that the ring's history secrets open. */
export async function readEpochs(ring: KeyRing, epochs: readonly EpochHistory[]): Promise<EpochKey[]> {
  const found: EpochKey[] = [];
  for (const one of epochs) {
    const { group, epoch, wrap } = one;
    if (ring.find(group, epoch) !== null) continue;
    for (const secret of [...ring.historySecrets].reverse()) {
      const key = await open(secret, wrap, aadOf(group, epoch));
      if (key?.length !== SECRET_BYTES) continue;
      found.push({ group, epoch, key });
      break;
    }
  }
  return found;
}
