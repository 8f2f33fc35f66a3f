/**
 * Media of a sealed room: gives the keys of each epoch to the SDK's own frame encryption. Load it with `import()`, for
 * sealed rooms only: it brings the worker.
 */

import {
  LogLevel,
  LoggerNames,
  type RemoteParticipant,
  type Room,
  RoomEvent,
  type RoomOptions,
  setLogLevel,
} from "livekit-client";
import { Epochs, type KeyOf } from "./epochs";
import { KeyRing } from "./keyRing";
import { type Problem, Problems } from "./problems";

export type { KeyOf } from "./epochs";
export type { Problem } from "./problems";
export type { ProblemKind } from "./watch";

export interface MediaKeyEvents {
  /** What comes from this participant cannot be opened (or ours cannot be sent), and has not healed by itself. */
  onProblem: (problem: Problem) => void;
  onHealed: (identity: string) => void;
}

/** Of one `Room`: a room made anew needs new ones. */
export class MediaKeys {
  /** To be merged into the options of `new Room(...)`, last. */
  readonly roomOptions: Pick<RoomOptions, "e2ee" | "encryption">;
  private readonly worker: Worker;
  private readonly ring = new KeyRing();
  private readonly epochs = new Epochs(
    this.ring,
    (own, hasKey) => {
      this.problems?.setOwn(own, hasKey);
    },
    () => {
      if (this.room !== null) sendKeyFrames(this.room);
    },
  );
  private room: Room | null = null;
  private problems: Problems | null = null;

  constructor(private readonly events: MediaKeyEvents) {
    // Each frame that cannot be opened would be a line on the console; `Problems` tells of those that matter.
    setLogLevel(LogLevel.silent, LoggerNames.E2EE);
    this.worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    const encryption = { keyProvider: this.ring, worker: this.worker };
    // `encryption` is what encrypts data as well; by the old name the SDK knows which browsers cannot send layers so.
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- no other name tells it.
    this.roomOptions = { encryption, e2ee: encryption };
  }

  /** Before `room.connect`: from here on the room sends nothing in the clear. */
  async attach(room: Room): Promise<void> {
    this.room = room;
    this.problems = new Problems(room, this.events.onProblem, this.events.onHealed);
    room.on(RoomEvent.ParticipantConnected, this.handleConnected);
    await room.setE2EEEnabled(true);
  }

  /**
   * The keys of a new epoch. Others are understood with them at once; we speak with ours 0.2 s later, when the
   * others have theirs (at once where it is our first). Older keys live on for ten seconds. Rejects when a key could not
   * be had; all others are in place then. With `hasNewcomers`, pictures begin anew when we speak with it: who came can
   * make nothing of what builds on pictures of before.
   */
  async setEpoch(epoch: number, keyOf: KeyOf, identities: readonly string[], own: string, hasNewcomers = false): Promise<void> {
    const present = [...(this.room?.remoteParticipants.values() ?? [])].map((one) => one.identity);
    await this.epochs.set(epoch, keyOf, [...new Set([...identities, ...present])], own, hasNewcomers);
  }

  /** Somebody who was not among those of `setEpoch`; who joins the call is added without it. */
  async addParticipant(identity: string): Promise<void> {
    await this.epochs.add(identity);
  }

  /** Asks for the newest epoch's keys once more, after one of them was wrong or missing. */
  async renew(): Promise<void> {
    await this.epochs.renew();
  }

  /** At the end of the call. Keys are gone with the worker. */
  dispose(): void {
    this.room?.off(RoomEvent.ParticipantConnected, this.handleConnected);
    this.problems?.dispose();
    this.epochs.dispose();
    this.worker.terminate();
  }

  private readonly handleConnected = (participant: RemoteParticipant): void => {
    // Where it fails, the first frame that cannot be opened tells of it.
    this.epochs.add(participant.identity).catch(() => undefined);
  };
}

interface KeyFrameOptions {
  encodingOptions: { keyFrame: boolean }[];
}

/**
 * Of all layers of all that we send (WebRTC extensions, RTCEncodingOptions). A browser without it ignores it; the
 * newcomer's decoder asks for a key frame then, which takes some tenths of a second more.
 */
function sendKeyFrames(room: Room): void {
  for (const { track } of room.localParticipant.videoTrackPublications.values()) {
    const sender = track?.sender;
    if (sender === undefined) continue;
    const parameters = sender.getParameters();
    const options: KeyFrameOptions = { encodingOptions: parameters.encodings.map(() => ({ keyFrame: true })) };
    // What is not sending refuses it, and has a key frame when it begins.
    sender.setParameters(parameters, options as RTCSetParameterOptions).catch(() => undefined);
  }
}

export function createMediaKeys(events: MediaKeyEvents): MediaKeys {
  return new MediaKeys(events);
}

/** What a sealed room publishes: no AV1, which the SDK does not encrypt, and no second codec beside the first. */
export const SEALED_PUBLISH_DEFAULTS = { videoCodec: "vp8", backupCodec: false } as const;
