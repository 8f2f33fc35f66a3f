import { useTracks } from "@livekit/components-react";
import { type Participant, type Room, Track, type TrackPublication } from "livekit-client";
import { useState } from "react";

export interface SharedScreen {
  participant: Participant;
  publication: TrackPublication;
}

/** The screens that others share, in the order in which they came: a second one does not push the first aside. */
export function useScreens(room: Room): readonly SharedScreen[] {
  const tracks = useTracks([Track.Source.ScreenShare], { room, onlySubscribed: false });
  const [order, setOrder] = useState<readonly string[]>([]);
  const byIdentity = new Map<string, SharedScreen>();
  for (const { participant, publication } of tracks) {
    if (!participant.isLocal) byIdentity.set(participant.identity, { participant, publication });
  }
  const kept = order.filter((identity) => byIdentity.has(identity));
  const next = [...kept, ...[...byIdentity.keys()].filter((identity) => !kept.includes(identity))];
  if (next.join() !== order.join()) setOrder(next);
  return next.map((identity) => byIdentity.get(identity)).filter((screen) => screen !== undefined);
}
