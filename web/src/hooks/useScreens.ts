import { type Participant, type Room, Track, type TrackPublication } from "livekit-client";
import { useState } from "react";
import { useParticipants } from "./useRoomState";

export interface SharedScreen {
  participant: Participant;
  publication: TrackPublication;
}

/** The screens that others share, in the order in which they came: a second one does not push the first aside. */
export function useScreens(room: Room): readonly SharedScreen[] {
  const participants = useParticipants(room);
  const [order, setOrder] = useState<readonly string[]>([]);
  const byIdentity = new Map<string, SharedScreen>();
  for (const participant of participants) {
    const publication = participant.getTrackPublication(Track.Source.ScreenShare);
    if (!participant.isLocal && publication !== undefined) byIdentity.set(participant.identity, { participant, publication });
  }
  const kept = order.filter((identity) => byIdentity.has(identity));
  const next = [...kept, ...[...byIdentity.keys()].filter((identity) => !kept.includes(identity))];
  if (next.join() !== order.join()) setOrder(next);
  return next.map((identity) => byIdentity.get(identity)).filter((screen) => screen !== undefined);
}
