/** Bytes as text and back, and the few operations of Web Crypto that sealed rooms need. */

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export const utf8 = (text: string): Bytes => encoder.encode(text);

/** Throws `TypeError` for what is not UTF-8. */
export const fromUtf8 = (bytes: Bytes): string => decoder.decode(bytes);

/** Base64url without padding: RFC 4648, section 5. */
export function toBase64url(bytes: Uint8Array): string {
  let text = "";
  // A call with all bytes of a long array as arguments would overflow the stack.
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Null for what is not base64url. */
export function fromBase64url(text: string): Bytes | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return null;
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

export const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));

export function concat(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** HKDF with SHA-256 and no salt (RFC 5869): `length` bytes for the purpose that `info` names. */
export async function hkdf(secret: Bytes, info: string, length: number): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const parameters = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: utf8(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, length * 8));
}

export async function hmac(key: Bytes, message: Bytes): Promise<Bytes> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

/** Whether `tag` is the HMAC-SHA256 of `message`; takes as long for a wrong one. */
export async function isHmac(key: Bytes, message: Bytes, tag: Bytes): Promise<boolean> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  return crypto.subtle.verify("HMAC", imported, tag, message);
}

const NONCE_BYTES = 12;

/** AES-256-GCM under a random nonce, which stands first. `aad` is what has to be the same when it is opened. */
export async function seal(key: Bytes, plain: Bytes, aad: Bytes = new Uint8Array(0)): Promise<Bytes> {
  const iv = random(NONCE_BYTES);
  const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: aad }, imported, plain);
  return concat(iv, new Uint8Array(sealed));
}

/** Null: another key, another `aad`, or other bytes than `seal` made. */
export async function open(key: Bytes, sealed: Bytes, aad: Bytes = new Uint8Array(0)): Promise<Bytes | null> {
  if (sealed.length <= NONCE_BYTES) return null;
  const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
  const parameters = { name: "AES-GCM", iv: sealed.subarray(0, NONCE_BYTES), additionalData: aad };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parameters, imported, sealed.subarray(NONCE_BYTES)));
  } catch {
    return null;
  }
}
