declare module "@jitsi/rnnoise-wasm/dist/rnnoise.js" {
  /** xiph/rnnoise, include/rnnoise.h; a `state` or buffer is an address in `HEAPF32`'s memory, in bytes. */
  interface Rnnoise {
    HEAPF32: Float32Array;
    _malloc: (bytes: number) => number;
    _rnnoise_create: (model: number) => number;
    _rnnoise_process_frame: (state: number, out: number, input: number) => number;
  }
  interface Settings {
    instantiateWasm: (
      imports: WebAssembly.Imports,
      receive: (instance: WebAssembly.Instance) => void,
    ) => WebAssembly.Exports;
  }
  export default function createRnnoise(settings: Settings): Promise<Rnnoise>;
}
