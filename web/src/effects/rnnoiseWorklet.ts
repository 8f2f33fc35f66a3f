/** Audio worklet: RNNoise on one channel at 48 kHz. Says "ready" when it runs; until then, sound passes as it is. */

import createRnnoise from "@jitsi/rnnoise-wasm/dist/rnnoise.js";
import { FRAME, Frames } from "./frames";

declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

/** It was trained on 16-bit samples. */
const SCALE = 32768;

async function startRnnoise(module: WebAssembly.Module): Promise<(frame: Float32Array) => void> {
  const rnnoise = await createRnnoise({
    instantiateWasm: (imports, receive) => {
      const instance = new WebAssembly.Instance(module, imports);
      receive(instance);
      return instance.exports;
    },
  });
  const state = rnnoise._rnnoise_create(0);
  const at = rnnoise._malloc(FRAME * Float32Array.BYTES_PER_ELEMENT);
  if (state === 0 || at === 0) throw new Error("RNNoise has no memory");
  const start = at / Float32Array.BYTES_PER_ELEMENT;
  return (frame) => {
    const samples = rnnoise.HEAPF32.subarray(start, start + FRAME);
    for (const [index, sample] of frame.entries()) samples[index] = sample * SCALE;
    rnnoise._rnnoise_process_frame(state, at, at);
    for (const [index, sample] of samples.entries()) frame[index] = sample / SCALE;
  };
}

class RnnoiseProcessor extends AudioWorkletProcessor {
  private frames: Frames | null = null;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<WebAssembly.Module>) => {
      startRnnoise(data).then(
        (denoise) => {
          this.frames = new Frames(denoise);
          this.port.postMessage("ready");
        },
        (error: unknown) => {
          this.port.postMessage(String(error));
        },
      );
    };
  }

  process([input]: Float32Array[][], [output]: Float32Array[][]): boolean {
    const from = input?.[0];
    const to = output?.[0];
    if (from !== undefined && to !== undefined) {
      if (this.frames === null) to.set(from);
      else this.frames.push(from, to);
    }
    return true;
  }
}

registerProcessor("rnnoise", RnnoiseProcessor);
