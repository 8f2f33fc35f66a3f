/**
 * The host of `ting_mls.wasm` (built from `sealed/core`): memory, calls, and the little it wants from outside.
 * It runs in a worker of the page and in Node alike; nothing here touches the network.
 */

import { MlsError, mlsFailures } from "./errors";
import { encode, type Field } from "./wire";

interface Exports {
  memory: WebAssembly.Memory;
  ting_alloc: (length: number) => number;
  ting_free: (start: number, length: number) => void;
  ting_call: (number: number, start: number, length: number) => bigint;
}

/** `crypto.getRandomValues` gives no more at once. */
const RANDOM_BYTES = 65_536;

/** The parts of WASI that the library links. Only random bytes matter; the rest is what a panic prints. */
function wasi(memory: () => WebAssembly.Memory): WebAssembly.ModuleImports {
  const ok = 0;
  const view = () => new DataView(memory().buffer);
  return {
    random_get: (start: number, length: number) => {
      for (let at = 0; at < length; at += RANDOM_BYTES) {
        // By way of a copy: a memory that can be shared may not be filled directly.
        const drawn = crypto.getRandomValues(new Uint8Array(Math.min(RANDOM_BYTES, length - at)));
        new Uint8Array(memory().buffer, start + at, drawn.length).set(drawn);
      }
      return ok;
    },
    environ_sizes_get: (count: number, size: number) => {
      view().setUint32(count, 0, true);
      view().setUint32(size, 0, true);
      return ok;
    },
    environ_get: () => ok,
    fd_write: (_file: number, vectors: number, count: number, written: number) => {
      let total = 0;
      for (let at = 0; at < count; at += 1) total += view().getUint32(vectors + at * 8 + 4, true);
      view().setUint32(written, total, true);
      return ok;
    },
    proc_exit: (code: number) => {
      throw new MlsError("bad_call", `the library ended with ${code}`);
    },
  };
}

/** One instance of the library. It is not shared: each worker has its own. */
export class Core {
  private constructor(private readonly exports: Exports) {}

  /**
   * Starts the library.
   * @param source the compiled module, or its bytes
   */
  static async start(source: WebAssembly.Module | BufferSource): Promise<Core> {
    const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source);
    const instance: WebAssembly.Instance = await WebAssembly.instantiate(module, {
      wasi_snapshot_preview1: wasi(() => (instance.exports as unknown as Exports).memory),
    });
    return new Core(instance.exports as unknown as Exports);
  }

  /** Makes a call and answers its fields, to be read by a Reader. Throws MlsError with the kind of failure. */
  call(number: number, ...fields: Field[]): Uint8Array {
    const { ting_alloc, ting_call, ting_free, memory } = this.exports;
    const input = encode(fields);
    const start = ting_alloc(input.length);
    new Uint8Array(memory.buffer).set(input, start);
    input.fill(0);
    const place = BigInt.asUintN(64, ting_call(number, start, input.length));
    ting_free(start, input.length);
    const [at, length] = [Number(place >> 32n), Number(place & 0xffff_ffffn)];
    const answer = new Uint8Array(memory.buffer, at, length).slice();
    ting_free(at, length);
    const [kind = 0, body] = [answer[0], answer.subarray(1)];
    if (kind === 0) return body;
    throw new MlsError(mlsFailures[kind - 1] ?? "bad_call", new TextDecoder().decode(body));
  }
}
