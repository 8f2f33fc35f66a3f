/** The call format of `sealed/core/src/wire.rs`: fields of bytes, each behind its length (32 bits, little-endian). */

import { MlsError } from "./errors";

export type Field = Uint8Array | string | number | readonly Field[];

const encoder = new TextEncoder();
const NUMBER_BYTES = 8;
const LENGTH_BYTES = 4;

function* parts(fields: readonly Field[]): Generator<Uint8Array> {
  for (const field of fields) {
    if (typeof field === "string") yield encoder.encode(field);
    else if (typeof field === "number") {
      const bytes = new Uint8Array(NUMBER_BYTES);
      new DataView(bytes.buffer).setBigUint64(0, BigInt(field), true);
      yield bytes;
    } else if (field instanceof Uint8Array) yield field;
    else yield* parts([field.length, ...field]);
  }
}

/** Bytes of a call: a list is its length, then its fields. */
export function encode(fields: readonly Field[]): Uint8Array {
  const all = [...parts(fields)];
  const bytes = new Uint8Array(all.reduce((sum, part) => sum + LENGTH_BYTES + part.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of all) {
    view.setUint32(at, part.length, true);
    bytes.set(part, at + LENGTH_BYTES);
    at += LENGTH_BYTES + part.length;
  }
  return bytes;
}

/** Reads the fields of an answer in their order. Throws MlsError `bad_call` where one is missing. */
export class Reader {
  private at = 0;
  private readonly view: DataView;

  constructor(private readonly answer: Uint8Array) {
    this.view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const start = this.at + LENGTH_BYTES;
    const end = start <= this.answer.length ? start + this.view.getUint32(this.at, true) : Infinity;
    if (end > this.answer.length) throw new MlsError("bad_call", "a field is missing");
    this.at = end;
    return this.answer.slice(start, end);
  }

  text(): string {
    return new TextDecoder().decode(this.bytes());
  }

  /** Numbers stay below 2^53: epochs and leaves, counted one by one. */
  number(): number {
    const bytes = this.bytes();
    if (bytes.length !== NUMBER_BYTES) throw new MlsError("bad_call", "a number has eight bytes");
    return Number(new DataView(bytes.buffer).getBigUint64(0, true));
  }

  list<T>(read: (reader: this) => T): T[] {
    return Array.from({ length: this.number() }, () => read(this));
  }
}
