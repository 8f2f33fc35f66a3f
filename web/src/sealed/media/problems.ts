/** Who cannot be seen or heard because what comes from them cannot be opened: said once, and again when it heals. */

import { type Participant, type RemoteTrack, type Room, RoomEvent } from "livekit-client";
import { type ProblemKind, type Sample, Watch } from "./watch";

export interface Problem {
  identity: string;
  kind: ProblemKind;
}

const POLL_MS = 1000;
/** The SDK tells of failures five times, and then again after a minute; as long as it might, we look ourselves. */
const SUSPICION_MS = 65_000;

/** Counters that getStats has where the DOM's types are behind. */
interface Inbound {
  type: string;
  packetsReceived?: number;
  framesDecoded?: number;
  jitterBufferEmittedCount?: number;
}

export class Problems {
  private readonly watch = new Watch();
  private readonly kinds = new Map<string, ProblemKind>();
  private suspectedAtMs = -Infinity;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Errors are told late: one about a frame from before the key came says nothing of now. */
  private hasOwnKey = false;
  private ownFails = false;

  constructor(
    private readonly room: Room,
    private readonly onProblem: (problem: Problem) => void,
    private readonly onHealed: (identity: string) => void,
  ) {
    room.on(RoomEvent.EncryptionError, this.handleError);
  }

  dispose(): void {
    this.room.off(RoomEvent.EncryptionError, this.handleError);
    clearTimeout(this.timer);
    this.timer = undefined;
    this.suspectedAtMs = -Infinity;
  }

  /** Whether we have the key that we are to encrypt with. Without one the SDK sends nothing: others wait in vain. */
  setOwn(identity: string, hasKey: boolean): void {
    this.hasOwnKey = hasKey;
    this.tellOwn(identity, !hasKey);
  }

  private tellOwn(identity: string, fails: boolean): void {
    if (this.ownFails === fails) return;
    this.ownFails = fails;
    if (fails) this.onProblem({ identity, kind: "missing_key" });
    else this.onHealed(identity);
  }

  private readonly handleError = (error: Error, participant?: Participant): void => {
    if (participant === undefined) return;
    if (participant.isLocal) {
      if (!this.hasOwnKey) this.tellOwn(participant.identity, true);
      return;
    }
    const kind = error.message.startsWith("MissingKey") ? "missing_key" : "cannot_decrypt";
    this.kinds.set(participant.identity, kind);
    this.suspectedAtMs = performance.now();
    this.timer ??= setTimeout(this.poll, POLL_MS);
  };

  /** One frame that cannot be opened is usual where keys change; a problem is that nothing else comes either. */
  private readonly poll = (): void => {
    void this.samples().then((samples) => {
      if (this.timer === undefined) return;
      for (const { identity, healed } of this.watch.take(samples)) {
        if (healed) this.onHealed(identity);
        else this.onProblem({ identity, kind: this.kinds.get(identity) ?? "cannot_decrypt" });
      }
      const go = performance.now() - this.suspectedAtMs < SUSPICION_MS;
      this.timer = go ? setTimeout(this.poll, POLL_MS) : undefined;
    });
  };

  private async samples(): Promise<Sample[]> {
    const found: Promise<Sample | null>[] = [];
    for (const { identity, trackPublications } of this.room.remoteParticipants.values()) {
      for (const { track } of trackPublications.values()) {
        if (track !== undefined && this.kinds.has(identity)) found.push(sampleOf(track, identity));
      }
    }
    return (await Promise.all(found)).filter((one) => one !== null);
  }
}

async function sampleOf(track: RemoteTrack, identity: string): Promise<Sample | null> {
  const report = await track.receiver?.getStats();
  for (const stat of (report?.values() ?? []) as Iterable<Inbound>) {
    if (stat.type !== "inbound-rtp") continue;
    const played = stat.framesDecoded ?? stat.jitterBufferEmittedCount ?? 0;
    return { track: track.sid ?? "", identity, received: stat.packetsReceived ?? 0, played };
  }
  return null;
}
