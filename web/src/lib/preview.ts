/** The camera and microphone of the device check, before anybody else sees or hears them. */

import { createLocalTracks, LocalAudioTrack, type LocalTrack, LocalVideoTrack, Track } from "livekit-client";
import { type DeviceProblem, deviceProblem, hasMediaDevices } from "./devices";

export type PreviewKind = "camera" | "mic";

export interface PreviewState {
  cameraOn: boolean;
  micOn: boolean;
  camera: LocalVideoTrack | null;
  mic: LocalAudioTrack | null;
  cameraProblem: DeviceProblem | null;
  micProblem: DeviceProblem | null;
  starting: boolean;
}

export interface PreviewChoices {
  cameraOn: boolean;
  micOn: boolean;
  cameraId: string;
  micId: string;
}

/**
 * Owns the preview's tracks: `start` opens what is switched on, `dispose` closes everything, `take` hands the open
 * tracks over to the call. Subscribers hear of each change; `state` is a new object then.
 */
export class Preview {
  state: PreviewState;
  private readonly listeners = new Set<() => void>();
  private readonly deviceIds: Record<PreviewKind, string>;
  // Each request that is superseded (device changed, switched off, page left) throws its late result away.
  private readonly generation: Record<PreviewKind, number> = { camera: 0, mic: 0 };

  constructor(choices: PreviewChoices) {
    this.deviceIds = { camera: choices.cameraId, mic: choices.micId };
    this.state = {
      cameraOn: choices.cameraOn,
      micOn: choices.micOn,
      camera: null,
      mic: null,
      cameraProblem: null,
      micProblem: null,
      starting: false,
    };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): PreviewState => this.state;

  async start(): Promise<void> {
    const { cameraOn, micOn } = this.state;
    if (!hasMediaDevices()) {
      this.update({ cameraOn: false, micOn: false, cameraProblem: "insecure", micProblem: "insecure" });
      return;
    }
    this.update({ starting: true });
    if (cameraOn && micOn) await this.openBoth();
    else if (cameraOn) await this.open("camera");
    else if (micOn) await this.open("mic");
    this.update({ starting: false });
  }

  async setOn(kind: PreviewKind, on: boolean): Promise<void> {
    this.close(kind);
    this.update(kind === "camera" ? { cameraOn: on, cameraProblem: null } : { micOn: on, micProblem: null });
    if (on) await this.open(kind);
  }

  async setDevice(kind: PreviewKind, deviceId: string): Promise<void> {
    this.deviceIds[kind] = deviceId;
    await this.setOn(kind, true);
  }

  /** The open tracks; from now on the caller stops them. */
  take(): LocalTrack[] {
    const tracks = [this.state.mic, this.state.camera].filter((track) => track !== null);
    this.generation.camera += 1;
    this.generation.mic += 1;
    this.update({ camera: null, mic: null });
    return tracks;
  }

  dispose(): void {
    this.close("camera");
    this.close("mic");
  }

  // Both at once is one question to the person; only when that fails is each asked for alone.
  private async openBoth(): Promise<void> {
    const mine = { camera: ++this.generation.camera, mic: ++this.generation.mic };
    let tracks: LocalTrack[];
    try {
      tracks = await createLocalTracks({ video: this.constraints("camera"), audio: this.constraints("mic") });
    } catch {
      const wanted = (["camera", "mic"] as const).filter((kind) => this.generation[kind] === mine[kind]);
      await Promise.all(wanted.map((kind) => this.open(kind)));
      return;
    }
    for (const track of tracks) this.adopt(track.kind === Track.Kind.Video ? "camera" : "mic", track, mine);
  }

  private async open(kind: PreviewKind): Promise<void> {
    const mine = { ...this.generation, [kind]: ++this.generation[kind] };
    try {
      const wanted = this.constraints(kind);
      const options = kind === "camera" ? { video: wanted, audio: false } : { audio: wanted, video: false };
      for (const track of await createLocalTracks(options)) this.adopt(kind, track, mine);
    } catch (error) {
      if (this.generation[kind] !== mine[kind]) return;
      const problem = deviceProblem(error);
      this.update(
        kind === "camera" ? { cameraOn: false, cameraProblem: problem } : { micOn: false, micProblem: problem },
      );
    }
  }

  private adopt(kind: PreviewKind, track: LocalTrack, mine: Record<PreviewKind, number>): void {
    if (this.generation[kind] !== mine[kind]) {
      track.stop();
      return;
    }
    if (track instanceof LocalVideoTrack) this.update({ camera: track, cameraProblem: null });
    if (track instanceof LocalAudioTrack) this.update({ mic: track, micProblem: null });
  }

  private close(kind: PreviewKind): void {
    this.generation[kind] += 1;
    this.state[kind]?.stop();
    this.update(kind === "camera" ? { camera: null } : { mic: null });
  }

  private constraints(kind: PreviewKind) {
    const deviceId = this.deviceIds[kind];
    return deviceId === "" ? true : { deviceId };
  }

  private update(change: Partial<PreviewState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}
