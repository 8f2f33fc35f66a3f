/** The media of a call in a sealed room: its keys follow the group, and what cannot be opened is told. */

import { type Room as CallRoom, Room, RoomEvent, type RoomOptions } from "livekit-client";
import { hkdf } from "./bytes";
import { createMediaKeys, type MediaKeys, type ProblemKind, SEALED_PUBLISH_DEFAULTS } from "./media";
import type { View } from "./engine";
import type { SealedSession } from "./session";

export type MediaProblems = ReadonlyMap<string, ProblemKind>;

const MEDIA_KEY_BYTES = 32;
const calls = new WeakMap<CallRoom, CallMedia>();

/** Null: the call is not sealed. */
export const callMediaOf = (room: CallRoom): CallMedia | null => calls.get(room) ?? null;

export class CallMedia {
  private problems: MediaProblems = new Map();
  private readonly listeners = new Set<() => void>();
  readonly keys: MediaKeys = createMediaKeys({
    onProblem: ({ identity, kind }) => {
      this.set(new Map(this.problems).set(identity, kind));
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
      known = view;
      const keyOf = (identity: string) => hkdf(view.mediaSecret, `ting media ${identity}`, MEDIA_KEY_BYTES);
      // What is missing then shows in the frames that cannot be opened.
      this.keys.setEpoch(view.epoch, keyOf, [], own).catch(() => undefined);
    };
    update();
    return session.subscribe(update);
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
