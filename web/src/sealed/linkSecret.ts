/**
 * The secret in the fragment of a sealed room's link. Browsers do not send a fragment to the server, so whoever has
 * only the room's name, the server included, is not a member. For each purpose it gives a key of its own.
 */

import { type Bytes, fromBase64url, hkdf, toBase64url } from "./bytes";

const LINK_SECRET_BYTES = 32;

export interface LinkKeys {
  /** Proves to members that a key package comes from somebody with the link. */
  join: Bytes;
  /** Goes into the key schedule of MLS (RFC 9420, section 8.4). */
  psk: Bytes;
  /** The first history secret. */
  history: Bytes;
  /** Proves to the server that commits come from somebody with the link. */
  gate: Bytes;
}

/** What the server is told of a new room's link, in base64url; null where the browser offers no cryptography. */
export async function gateOf(secret: string): Promise<string | null> {
  return globalThis.isSecureContext ? toBase64url((await linkKeys(secret)).gate) : null;
}

/** Throws `TypeError` for what is no link secret. */
export async function linkKeys(secret: string): Promise<LinkKeys> {
  const bytes = fromBase64url(secret);
  if (bytes?.length !== LINK_SECRET_BYTES) throw new TypeError("not a link secret");
  const [join, psk, history, gate] = await Promise.all([
    hkdf(bytes, "ting join", 32),
    hkdf(bytes, "ting psk", 32),
    hkdf(bytes, "ting history", 32),
    hkdf(bytes, "ting gate", 32),
  ]);
  return { join, psk, history, gate };
}
