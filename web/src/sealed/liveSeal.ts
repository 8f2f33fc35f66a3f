/**
 * Data packets of a sealed room, under a key of the chat's epoch. The SDK encrypts packets too, but does not say of one
 * that arrived whether it was encrypted (livekit-client 2.23), so the server could slip in some of its own.
 */

import { asRecord, text } from "../lib/api";
import { type Bytes, concat, fromUtf8, hkdf, open, seal, utf8 } from "./bytes";
import { type EpochKey, type EpochName, nameOf } from "./entrySeal";
import type { KeyRing } from "./keyRing";

const KEY_BYTES = 32;
const LENGTH_BYTES = 2;
/** Keys that are kept ready; a packet under an older one has them made anew. */
const MAX_KEYS = 8;

const aadOf = (topic: string, from: string): Bytes => utf8(JSON.stringify(["ting live", topic, from]));

export class LiveSeal {
  private readonly keys = new Map<string, Promise<Bytes>>();

  /** `current` gives the key of now; null while this device is not in the group. */
  constructor(
    private readonly ring: Pick<KeyRing, "find">,
    private readonly current: () => EpochKey | null,
  ) {}

  /** `from` is the identity that sends it; null while there is no key. */
  async seal(topic: string, from: string, plain: Bytes): Promise<Bytes | null> {
    const now = this.current();
    if (now === null) return null;
    const { group, epoch } = now;
    const head = utf8(JSON.stringify({ group, epoch }));
    const length = new Uint8Array(LENGTH_BYTES);
    new DataView(length.buffer).setUint16(0, head.length);
    return concat(length, head, await seal(await this.keyOf(now), plain, aadOf(topic, from)));
  }

  /** Null: it was not sealed in this room, by somebody else, or with a key that is not here. */
  async open(topic: string, from: string, sealed: Bytes): Promise<Bytes | null> {
    if (sealed.length < LENGTH_BYTES) return null;
    const end = LENGTH_BYTES + new DataView(sealed.buffer, sealed.byteOffset).getUint16(0);
    try {
      const { group, epoch } = asRecord(JSON.parse(fromUtf8(sealed.subarray(LENGTH_BYTES, end))));
      const name = { group: text(group), epoch: typeof epoch === "number" ? epoch : -1 };
      const key = this.ring.find(name.group, name.epoch);
      return key === null ? null : await open(await this.keyOf({ ...name, key }), sealed.subarray(end), aadOf(topic, from));
    } catch {
      return null;
    }
  }

  private keyOf(epoch: EpochName & { key: Bytes }): Promise<Bytes> {
    const name = nameOf(epoch);
    const known = this.keys.get(name);
    if (known !== undefined) return known;
    const made = hkdf(epoch.key, "ting live", KEY_BYTES);
    this.keys.set(name, made);
    for (const old of this.keys.keys()) if (this.keys.size > MAX_KEYS) this.keys.delete(old);
    return made;
  }
}
