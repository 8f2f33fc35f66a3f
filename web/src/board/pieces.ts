/** Updates of a board as entries of the log: base64url, in as many pieces as they need. */

import { asRecord, text } from "../lib/api";
import { fromBase64url, toBase64url } from "../sealed/bytes";
import type { Body } from "../log/entries";

/** Of one entry, before base64: padded and sealed it is what the server takes. */
const PIECE_BYTES = 11_000;
/** More than this is no update that anybody makes by hand, and no board that others can follow. */
export const MAX_PIECES = 64;
/** Updates of which pieces are missing; the oldest are given up. */
const MAX_UNFINISHED = 50;

export interface Update {
  bytes: Uint8Array<ArrayBuffer>;
  /** The whole board as of this entry; null: a change. */
  upto: number | null;
}

/** Null for an update that is too long. `id` is unique among those of its author. */
export function toPieces(id: string, { bytes, upto }: Update): Body[] | null {
  const parts = Math.max(1, Math.ceil(bytes.length / PIECE_BYTES));
  if (parts > MAX_PIECES) return null;
  return Array.from({ length: parts }, (_, place) => ({
    id,
    part: place + 1,
    parts,
    update: toBase64url(bytes.subarray(place * PIECE_BYTES, (place + 1) * PIECE_BYTES)),
    ...(upto === null ? {} : { upto }),
  }));
}

const count = (value: unknown, most: number): number | null => (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most ? (value as number) : null);

export class Assembly {
  private readonly unfinished = new Map<string, { pieces: Map<number, Uint8Array>; seq: number }>();

  /** The oldest entry with a piece of something that is not whole. */
  get oldest(): number {
    return Math.min(Infinity, ...[...this.unfinished.values()].map(({ seq }) => seq));
  }

  /** A piece of somebody's, in the entry `seq`; the update once all of its pieces are there. */
  take(from: string, seq: number, body: Body): Update | null {
    const { id, part: itsPart, parts: allParts, update, upto } = asRecord(body);
    const [part, parts, bytes] = [count(itsPart, MAX_PIECES), count(allParts, MAX_PIECES), fromBase64url(text(update))];
    if (part === null || parts === null || part < 1 || part > parts || bytes === null || bytes.length > PIECE_BYTES) return null;
    const key = `${from} ${parts} ${text(id)}`;
    const { pieces, seq: first } = this.unfinished.get(key) ?? { pieces: new Map<number, Uint8Array>(), seq };
    pieces.set(part, bytes);
    this.unfinished.set(key, { pieces, seq: Math.min(first, seq) });
    if (pieces.size < parts) {
      for (const old of this.unfinished.keys()) if (this.unfinished.size > MAX_UNFINISHED) this.unfinished.delete(old);
      return null;
    }
    this.unfinished.delete(key);
    const all = Array.from({ length: parts }, (_, place) => pieces.get(place + 1) ?? new Uint8Array(0));
    const whole = new Uint8Array(all.reduce((length, piece) => length + piece.length, 0));
    let at = 0;
    for (const piece of all) {
      whole.set(piece, at);
      at += piece.length;
    }
    return { bytes: whole, upto: count(upto, Number.MAX_SAFE_INTEGER) };
  }
}
