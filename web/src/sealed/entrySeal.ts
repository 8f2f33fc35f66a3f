/**
 * Bodies of entries, sealed for the members of a room. Verb, target, sender, recipient and time stay readable for the
 * server, which holds authors to their own entries with them; they are bound to the body, so that it cannot be shown
 * under another name, verb or target.
 */

import { asRecord, text } from "../lib/api";
import type { Body, Entry } from "../log/entries";
import { type Bytes, fromBase64url, fromUtf8, open, seal, toBase64url, utf8 } from "./bytes";

export interface EpochName {
  group: string;
  epoch: number;
}

export const nameOf = ({ group, epoch }: EpochName): string => `${group} ${epoch}`;

/** A key of the chat: of one epoch of one group. */
export interface EpochKey extends EpochName {
  key: Bytes;
}

export interface SealedBody extends EpochName {
  data: string;
}

/** What is bound to a body. */
export interface Binding {
  verb: string;
  from: string;
  target: number | null;
  to: string;
}

/** The verbs whose bodies are sealed; the others have nothing to hide. */
export const SEALED_VERBS: ReadonlySet<string> = new Set(["message", "edit", "react", "file", "poll", "vote", "hand", "draw", "board"]);

const LEAST_BYTES = 256;
const LENGTH_BYTES = 4;

/** With its length first, filled up to 256 bytes and from there to powers of two: sizes say little of what is in it. */
export function pad(plain: Bytes): Bytes {
  let size = LEAST_BYTES;
  while (size < plain.length + LENGTH_BYTES) size *= 2;
  const padded = new Uint8Array(size);
  new DataView(padded.buffer).setUint32(0, plain.length);
  padded.set(plain, LENGTH_BYTES);
  return padded;
}

/** Null for what `pad` has not made. */
export function unpad(padded: Bytes): Bytes | null {
  if (padded.length < LENGTH_BYTES) return null;
  const length = new DataView(padded.buffer, padded.byteOffset).getUint32(0);
  return length <= padded.length - LENGTH_BYTES ? padded.slice(LENGTH_BYTES, LENGTH_BYTES + length) : null;
}

const aadOf = (group: string, epoch: number, { verb, from, target, to }: Binding): Bytes =>
  utf8(JSON.stringify([group, epoch, verb, from, target ?? 0, to]));

/** `id` is the client id: others see by it when the server shows one body twice. */
export async function sealBody(key: EpochKey, binding: Binding, id: string, body: Body): Promise<SealedBody> {
  const { group, epoch } = key;
  const sealed = await seal(key.key, pad(utf8(JSON.stringify({ id, body }))), aadOf(group, epoch, binding));
  return { group, epoch, data: toBase64url(sealed) };
}

export function sealedOf(body: Body | null): SealedBody | null {
  if (body === null || typeof body.sealed !== "object" || body.sealed === null) return null;
  const { group, epoch, data } = asRecord(body.sealed);
  return { group: text(group), epoch: Number.isSafeInteger(epoch) ? (epoch as number) : -1, data: text(data) };
}

export interface Opened {
  id: string;
  body: Body;
}

/** Null: it was not sealed with this key for this place. */
export async function openBody(key: Bytes, sealed: SealedBody, binding: Binding): Promise<Opened | null> {
  const bytes = fromBase64url(sealed.data);
  if (bytes === null) return null;
  const padded = await open(key, bytes, aadOf(sealed.group, sealed.epoch, binding));
  const plain = padded === null ? null : unpad(padded);
  if (plain === null) return null;
  try {
    const { id, body } = asRecord(JSON.parse(fromUtf8(plain)));
    return { id: text(id), body: asRecord(body) };
  } catch {
    return null;
  }
}

/** What is said of a private entry becomes private by the server: only these say it themselves. */
const ADDRESSED: ReadonlySet<string> = new Set(["message", "file"]);

export function bindingFor(verb: string, from: string, target: number | null, to: string): Binding {
  return { verb, from, target, to: ADDRESSED.has(verb) ? to : "" };
}

/** What an entry's body was bound to when it was sealed. A message that was edited carries the body of its edit. */
export function bindingOf({ seq, verb, from, target, to, body }: Entry): Binding {
  const isEdited = verb === "message" && typeof body?.edited_at_ms === "number";
  return isEdited ? bindingFor("edit", from, seq, "") : bindingFor(verb, from, target, to);
}
