/** The media keys that the SDK's worker holds: of each participant, one for each of the last epochs. */

import { BaseKeyProvider, type KeyInfo, KeyProviderEvent } from "livekit-client";

export const RING_SIZE = 16;

/** Where the key of an epoch is in every ring; frames carry this number. */
export function keyIndex(epoch: number): number {
  return epoch % RING_SIZE;
}

/** 32 random bytes as the worker wants them: it derives the AES key by HKDF, as other SDKs do that are told HKDF. */
export function importKey(raw: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", new Uint8Array(raw), "HKDF", false, ["deriveBits", "deriveKey"]);
}

/**
 * The SDK's key provider. It hands on what it is given and remembers what is in use, because a connection made anew
 * sends all of it to the worker again.
 */
export class KeyRing extends BaseKeyProvider {
  private readonly held = new Map<string, KeyInfo>();
  /** What we encrypt with. */
  private own = 0;

  constructor() {
    super({
      sharedKey: false,
      keyringSize: RING_SIZE,
      keySize: 128,
      // Keys change by epochs only; a ratchet would find "right" keys that nobody has.
      ratchetWindowSize: 0,
      // Never give a key up: after that many failures the worker would not try it again, even when it has come right.
      failureTolerance: -1,
    });
  }

  override getKeys(): KeyInfo[] {
    return [...this.held.values()];
  }

  override getLatestManuallySetKeyIndex(): number {
    return this.own;
  }

  put(participantIdentity: string, index: number, key: CryptoKey): void {
    this.send({ participantIdentity, keyIndex: index, key }, false);
  }

  /** The key that is encrypted with from now on. */
  use(participantIdentity: string, index: number, key: CryptoKey): void {
    this.own = index;
    this.send({ participantIdentity, keyIndex: index, key }, true);
  }

  /** The worker has no way to forget a key: a random one takes its place. */
  async drop(participantIdentity: string, index: number): Promise<void> {
    const id = slotOf(participantIdentity, index);
    const dropped = this.held.get(id);
    if (dropped === undefined) return;
    const noise = await importKey(crypto.getRandomValues(new Uint8Array(32)));
    // A newer key may have come in the meantime.
    if (this.held.get(id) !== dropped) return;
    this.held.delete(id);
    this.emit(KeyProviderEvent.SetKey, { participantIdentity, keyIndex: index, key: noise }, false);
  }

  private send(info: Required<KeyInfo>, use: boolean): void {
    this.held.set(slotOf(info.participantIdentity, info.keyIndex), info);
    this.emit(KeyProviderEvent.SetKey, info, use);
  }
}

const slotOf = (identity: string, index: number) => `${index} ${identity}`;
