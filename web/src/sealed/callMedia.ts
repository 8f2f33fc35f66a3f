/** The media of a call in a sealed room: its keys follow the group, and what cannot be opened is told. */

import { type Room as CallRoom, Room, RoomEvent, type RoomOptions } from "livekit-client";
import { hkdf } from "./bytes";
import { createMediaKeys, type MediaKeys, type ProblemKind, SEALED_PUBLISH_DEFAULTS } from "./media";
import type { View } from "./engine";
import type { SealedSession } from "./session";

export type MediaProblems = ReadonlyMap<string, ProblemKind>;

const MEDIA_KEY_BYTES = 32;
/** Between two tries to mend what does not open, each twice as long as the one before. */
const MEND_MS = [500, 60_000] as const;
const calls = new WeakMap<CallRoom, CallMedia>();

/** Null: the call is not sealed. */
export const callMediaOf = (room: CallRoom): CallMedia | null => calls.get(room) ?? null;

/** Whether somebody is in the group who was not. */
function hasOthers(now: View, before: View): boolean {
  const were = new Set(before.members.map(({ signatureKey }) => signatureKey));
  return now.members.some(({ signatureKey }) => !were.has(signatureKey));
}

export class CallMedia {
  private problems: MediaProblems = new Map();
  private readonly listeners = new Set<() => void>();
  private session: SealedSession | null = null;
  private mending: ReturnType<typeof setTimeout> | undefined;
  readonly keys: MediaKeys = createMediaKeys({
    onProblem: ({ identity, kind }) => {
      this.set(new Map(this.problems).set(identity, kind));
      this.mendIn(MEND_MS[0]);
    },
    onHealed: (identity) => {
      const rest = new Map(this.problems);
      if (rest.delete(identity)) this.set(rest);
    },
  });

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** By identity: what of theirs cannot be seen or heard here. */
  readonly snapshot = (): MediaProblems => this.problems;

  /** Takes the keys of every epoch of the room from now on; the result ends it. */
  follow(session: SealedSession, own: string): () => void {
    let known: View | null = null;
    const update = () => {
      const { view } = session.state;
      if (view === null || view === known) return;
      const hasNewcomers = known !== null && hasOthers(view, known);
      known = view;
      const keyOf = (identity: string) => hkdf(view.mediaSecret, `ting media ${identity}`, MEDIA_KEY_BYTES);
      // What is missing then shows in the frames that cannot be opened.
      this.keys.setEpoch(view.epoch, keyOf, [], own, hasNewcomers).catch(() => undefined);
    };
    update();
    this.session = session;
    const end = session.subscribe(update);
    return () => {
      this.session = null;
      end();
    };
  }

  /** A commit that we missed is asked for, and every key given to the SDK once more. */
  private mendIn(ms: number): void {
    if (this.mending !== undefined) return;
    this.mending = setTimeout(() => {
      this.mending = undefined;
      if (this.problems.size === 0 || this.session === null) return;
      this.session.lookAgain();
      // What is missing still shows in the frames that cannot be opened.
      this.keys.renew().catch(() => undefined);
      this.mendIn(Math.min(ms * 2, MEND_MS[1]));
    }, ms);
  }

  private set(problems: MediaProblems): void {
    this.problems = problems;
    for (const listener of this.listeners) listener();
  }
}

/** Sends nothing in the clear, from the first moment. */
export async function createSealedRoom(options: RoomOptions): Promise<CallRoom> {
  const media = new CallMedia();
  const room = new Room({
    ...options,
    ...media.keys.roomOptions,
    publishDefaults: { ...options.publishDefaults, ...SEALED_PUBLISH_DEFAULTS },
  });
  await media.keys.attach(room);
  room.once(RoomEvent.Disconnected, () => {
    media.keys.dispose();
  });
  calls.set(room, media);
  return room;
}
