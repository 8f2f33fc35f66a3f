import { type Participant, type Room, RoomEvent } from "livekit-client";
import { useEffect, useReducer } from "react";
import { findSpotlight, type Spotlight } from "../lib/spotlight";

/** What a host has put first for everybody in the call. */
export function useSpotlight(room: Room, participants: readonly Participant[]): Spotlight | null {
  const [, update] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    room.on(RoomEvent.ParticipantAttributesChanged, update);
    return () => {
      room.off(RoomEvent.ParticipantAttributesChanged, update);
    };
  }, [room]);
  return findSpotlight(participants);
}
