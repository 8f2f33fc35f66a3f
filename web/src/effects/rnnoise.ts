/** RNNoise on a microphone: the strong noise suppression. Everything that it needs is fetched with the first use. */

import rnnoise from "@jitsi/rnnoise-wasm/dist/rnnoise.wasm?url";
import type { AudioProcessorOptions, Track, TrackProcessor } from "livekit-client";
import { compileWasm } from "./compileWasm";
import worklet from "./rnnoiseWorklet.ts?worker&url";

const RATE_HZ = 48_000;

/** A context that runs: browsers hold one back until the page is touched. */
export async function runningContext(): Promise<AudioContext> {
  const context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
  const wake = () => void context.resume().catch(() => undefined);
  window.addEventListener("pointerdown", wake);
  window.addEventListener("keydown", wake);
  // A phone call takes the sound away from the page, and nobody gives it back.
  document.addEventListener("visibilitychange", wake);
  context.addEventListener("statechange", () => {
    if (context.state !== "closed") return;
    window.removeEventListener("pointerdown", wake);
    window.removeEventListener("keydown", wake);
    document.removeEventListener("visibilitychange", wake);
  });
  wake();
  await new Promise<void>((resolve) => {
    const look = () => {
      if (context.state === "running") resolve();
    };
    context.addEventListener("statechange", look);
    look();
  });
  return context;
}

/** `context` runs at 48 kHz and is closed with the processor. `onFail`: it has stopped working after all. */
export class RnnoiseProcessor implements TrackProcessor<Track.Kind.Audio, AudioProcessorOptions> {
  readonly name = "rnnoise";
  /** What the microphone gives, and what others hear of it. */
  source?: MediaStreamTrack;
  processedTrack?: MediaStreamTrack;
  private input: MediaStreamAudioSourceNode | null = null;
  private node: AudioWorkletNode | null = null;

  constructor(
    private readonly context: AudioContext,
    private readonly onFail: () => void,
  ) {}

  async init({ track }: Pick<AudioProcessorOptions, "track">): Promise<void> {
    const [module] = await Promise.all([compileWasm(rnnoise), this.context.audioWorklet.addModule(worklet)]);
    const node = new AudioWorkletNode(this.context, "rnnoise", { channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1] });
    await start(node, module);
    node.onprocessorerror = this.onFail;
    const out = new MediaStreamAudioDestinationNode(this.context, { channelCount: 1 });
    node.connect(out);
    this.node = node;
    this.listen(track);
    this.processedTrack = out.stream.getAudioTracks()[0];
  }

  /** The same sound goes on where only the room's context is another one. */
  restart({ track }: Pick<AudioProcessorOptions, "track">): Promise<void> {
    this.listen(track);
    return Promise.resolve();
  }

  async destroy(): Promise<void> {
    this.input?.disconnect();
    this.processedTrack?.stop();
    if (this.context.state !== "closed") await this.context.close();
  }

  private listen(track: MediaStreamTrack): void {
    if (this.node === null || track === this.source) return;
    this.input?.disconnect();
    this.input = this.context.createMediaStreamSource(new MediaStream([track]));
    this.input.connect(this.node);
    this.source = track;
  }
}

function start(node: AudioWorkletNode, module: WebAssembly.Module): Promise<void> {
  return new Promise((resolve, reject) => {
    node.port.onmessage = ({ data }: MessageEvent<string>) => {
      if (data === "ready") resolve();
      else reject(new Error(data));
    };
    node.port.onmessageerror = () => {
      reject(new Error("this browser hands no module to a worklet"));
    };
    node.port.postMessage(module);
  });
}
