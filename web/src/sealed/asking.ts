/**
 * What devices of one group say to each other about keys that one of them lacks: SEALED.md, section 4. A question is sealed
 * for the group of now and signed by its device, so that neither the server nor another member asks in its name; the
 * answer opens only for who asked.
 */

import { asRecord, text } from "../lib/api";
import { type Bytes, concat, fromBase64url, fromUtf8, hkdf, open, seal, toBase64url, utf8 } from "./bytes";
import type { Leaf, View } from "./engine";
import type { EpochKey, EpochName } from "./entrySeal";

export interface Question {
  wanted: readonly EpochName[];
  /** 0 for the first time; later ones are for more of those who are there. */
  round: number;
  /** Of the asker's key for the answer (ECDH, P-256, raw). */
  publicKey: Bytes;
}

export const MAX_WANTED = 100;
const KEY_BYTES = 32;
const CURVE = { name: "ECDH", namedCurve: "P-256" };

const bind = (what: string, { group, epoch }: EpochName, ...devices: string[]): Bytes =>
  utf8(JSON.stringify([`ting ${what}`, group, epoch, ...devices]));

const toSign = (bound: Bytes, data: Bytes): Bytes => concat(bound, data);

function isSigned({ signatureKey }: Leaf, signature: Bytes, signed: Bytes): Promise<boolean> {
  const raw = fromBase64url(signatureKey) ?? new Uint8Array(0);
  return crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]).then(
    (key) => crypto.subtle.verify("Ed25519", key, signature, signed),
    () => false,
  );
}

export const newAnswerKey = (): Promise<CryptoKeyPair> => crypto.subtle.generateKey(CURVE, false, ["deriveBits"]);

export const publicOf = async ({ publicKey }: CryptoKeyPair): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));

/** `sign` is of the device's signature key. */
export async function makeAsk(view: View, device: string, question: Question, sign: (data: Bytes) => Promise<Bytes>) {
  const { wanted, round, publicKey } = question;
  const plain = { wanted: wanted.map(({ group, epoch }) => [group, epoch]), round, public: toBase64url(publicKey) };
  const bound = bind("ask", view, device);
  const data = await seal(view.askKey, utf8(JSON.stringify(plain)), bound);
  return { epoch: view.epoch, data: toBase64url(data), signature: toBase64url(await sign(toSign(bound, data))) };
}

/** Null: it is not of this leaf, or not of this epoch. */
export async function readAsk(view: View, leaf: Leaf, ask: unknown): Promise<Question | null> {
  const raw = asRecord(ask);
  const [data, signature] = [fromBase64url(text(raw.data)), fromBase64url(text(raw.signature))];
  const bound = bind("ask", view, leaf.device);
  if (data === null || signature === null || raw.epoch !== view.epoch) return null;
  if (!(await isSigned(leaf, signature, toSign(bound, data)))) return null;
  const said = parse(await open(view.askKey, data, bound));
  const publicKey = fromBase64url(text(said.public));
  if (publicKey === null) return null;
  const wanted = pairs(said.wanted).map(([group, epoch]) => ({ group: text(group), epoch: Number(epoch) }));
  return { wanted, round: Number(said.round), publicKey };
}

async function answerKey(view: View, own: CryptoKey, other: Bytes): Promise<Bytes | null> {
  try {
    const imported = await crypto.subtle.importKey("raw", other, CURVE, false, []);
    const shared = await crypto.subtle.deriveBits({ name: "ECDH", public: imported }, own, KEY_BYTES * 8);
    return await hkdf(concat(new Uint8Array(shared), view.askKey), "ting give", KEY_BYTES);
  } catch {
    return null;
  }
}

/** For the device `to`, which asked; null: its key for the answer is none. */
export async function makeGive(view: View, [from, to]: [string, string], asked: Question, keys: readonly EpochKey[]) {
  const pair = await newAnswerKey();
  const key = await answerKey(view, pair.privateKey, asked.publicKey);
  if (key === null) return null;
  const plain = utf8(JSON.stringify(keys.map(({ group, epoch, key: one }) => [group, epoch, toBase64url(one)])));
  const data = await seal(key, plain, bind("give", view, from, to));
  return { epoch: view.epoch, public: toBase64url(await publicOf(pair)), data: toBase64url(data) };
}

/** Empty for what is no answer to what `own` asked. Whether the keys are right only what they open can show. */
export async function readGive(view: View, [from, to]: [string, string], own: CryptoKey, give: unknown): Promise<EpochKey[]> {
  const raw = asRecord(give);
  const [data, other] = [fromBase64url(text(raw.data)), fromBase64url(text(raw.public))];
  if (data === null || other === null || raw.epoch !== view.epoch) return [];
  const key = await answerKey(view, own, other);
  const plain = key === null ? null : await open(key, data, bind("give", view, from, to));
  return pairs(plain === null ? null : parseAny(plain)).flatMap(([group, epoch, one]) => {
    const bytes = fromBase64url(text(one));
    return bytes?.length === KEY_BYTES ? [{ group: text(group), epoch: Number(epoch), key: bytes }] : [];
  });
}

function parseAny(plain: Bytes): unknown {
  try {
    return JSON.parse(fromUtf8(plain));
  } catch {
    return null;
  }
}

const parse = (plain: Bytes | null) => asRecord(plain === null ? null : parseAny(plain));
const pairs = (value: unknown): unknown[][] => (Array.isArray(value) ? value.slice(0, MAX_WANTED).filter((one) => Array.isArray(one)) : []);
