import { type Participant, type Room, RoomEvent } from "livekit-client";
import { useEffect, useState } from "react";

export interface Speakers {
  speaking: ReadonlySet<string>;
  /** The other person who spoke last, for the main place of the speaker view. */
  lastOther: string | null;
}

export function useSpeakers(room: Room): Speakers {
  const [speakers, setSpeakers] = useState<Speakers>({ speaking: new Set(), lastOther: null });
  useEffect(() => {
    const update = (active: Participant[]) => {
      const other = active.find((participant) => !participant.isLocal);
      setSpeakers((old) => ({
        speaking: new Set(active.map((participant) => participant.identity)),
        lastOther: other?.identity ?? old.lastOther,
      }));
    };
    room.on(RoomEvent.ActiveSpeakersChanged, update);
    return () => {
      room.off(RoomEvent.ActiveSpeakersChanged, update);
    };
  }, [room]);
  return speakers;
}
