/**
 * Files, sealed in pieces: any part of one can be made or read without the rest, so that an upload goes on where it was
 * cut and a large file needs no memory. Each piece is AES-256-GCM under the file's own key, with its number and whether
 * it is the last as the nonce: no piece can be left out, moved or added. The size is filled up (Padmé, 2019), which
 * costs at most 12 % and leaves few sizes apart.
 */

import { type Bytes, concat, fromBase64url, random, toBase64url } from "./bytes";

const PIECE_BYTES = 64 * 1024;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const LEAST_BYTES = 1024;

/** What the message says of a sealed file. */
export interface FileKey {
  key: string;
  /** Of the file itself. */
  size: number;
}

export const newFileKey = (): string => toBase64url(random(KEY_BYTES));

/** Padmé: the smallest size of its kind that holds `size`. */
export function paddedSize(size: number): number {
  const least = Math.max(size, LEAST_BYTES);
  const exponent = Math.floor(Math.log2(least));
  const step = 2 ** (exponent - Math.floor(Math.log2(exponent)) - 1);
  return Math.ceil(least / step) * step;
}

const piecesOf = (size: number): number => Math.ceil(paddedSize(size) / PIECE_BYTES);

/** Of what the server stores. */
export const storedSize = (size: number): number => paddedSize(size) + piecesOf(size) * TAG_BYTES;

function nonceOf(piece: number, isLast: boolean): Bytes {
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  view.setUint32(4, Math.floor(piece / 2 ** 32));
  view.setUint32(8, piece >>> 0);
  nonce[0] = isLast ? 1 : 0;
  return nonce;
}

function importKey(key: string, use: KeyUsage): Promise<CryptoKey> {
  const bytes = fromBase64url(key);
  if (bytes?.length !== KEY_BYTES) throw new TypeError("not a file's key");
  return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, [use]);
}

/** The sealed form of a file, made as far as it is asked for. */
export class SealedFile {
  readonly size: number;
  private readonly pieces: number;
  private readonly key: Promise<CryptoKey>;

  constructor(
    private readonly file: Blob,
    key: string,
  ) {
    this.size = storedSize(file.size);
    this.pieces = piecesOf(file.size);
    this.key = importKey(key, "encrypt");
  }

  /** The bytes from `start` to before `end`, as of a file. */
  async slice(start: number, end: number): Promise<Bytes> {
    const until = Math.min(end, this.size);
    const sealedPiece = PIECE_BYTES + TAG_BYTES;
    const first = Math.floor(start / sealedPiece);
    const parts: Bytes[] = [];
    for (let piece = first; piece * sealedPiece < until; piece++) parts.push(await this.piece(piece));
    const all = concat(...parts);
    return all.slice(start - first * sealedPiece, until - first * sealedPiece);
  }

  private async piece(piece: number): Promise<Bytes> {
    const start = piece * PIECE_BYTES;
    const isLast = piece === this.pieces - 1;
    const plain = new Uint8Array(isLast ? paddedSize(this.file.size) - start : PIECE_BYTES);
    plain.set(new Uint8Array(await this.file.slice(start, start + PIECE_BYTES).arrayBuffer()));
    const parameters = { name: "AES-GCM", iv: nonceOf(piece, isLast) };
    return new Uint8Array(await crypto.subtle.encrypt(parameters, await this.key, plain));
  }
}

/** Something came that was not sealed with this key, or not all of it. */
export class SealBroken extends Error {}

/** A file from its sealed form, as it arrives. `onBytes` is told how much has come. Throws `SealBroken`. */
export async function openFile(
  stream: ReadableStream<Uint8Array>,
  { key, size }: FileKey,
  type: string,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<Blob> {
  const imported = await importKey(key, "decrypt");
  const pieces = piecesOf(size);
  const opened: Blob[] = [];
  let waiting: Uint8Array[] = [];
  let have = 0;
  let come = 0;
  const take = async (length: number) => {
    const all = concat(...waiting);
    waiting = [all.subarray(length)];
    have -= length;
    const piece = opened.length;
    const isLast = piece === pieces - 1;
    const parameters = { name: "AES-GCM", iv: nonceOf(piece, isLast) };
    const plain = await crypto.subtle.decrypt(parameters, imported, all.subarray(0, length)).catch(() => {
      throw new SealBroken("a piece of the file is not what was sealed");
    });
    // The browser may keep a blob on the disk.
    opened.push(new Blob([plain]));
  };
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (value !== undefined) {
      waiting.push(value);
      have += value.length;
      come += value.length;
      onBytes(come);
    }
    while (have >= PIECE_BYTES + TAG_BYTES && opened.length < pieces) await take(PIECE_BYTES + TAG_BYTES);
    if (done) break;
  }
  if (opened.length < pieces && have > TAG_BYTES) await take(have);
  if (opened.length !== pieces || have !== 0) throw new SealBroken("a part of the file is missing, or too much came");
  return new Blob(opened, { type }).slice(0, size, type);
}
