import { ConnectionState, type Participant, type Room } from "livekit-client";
import { useState } from "react";
import { useConnectionState, useParticipants } from "./useRoomState";

/** Who is in the call; while there is no connection, who was: the stage stays. */
export function usePresent(room: Room): readonly Participant[] {
  const connected = useConnectionState(room) === ConnectionState.Connected;
  const live = useParticipants(room);
  const [kept, setKept] = useState<readonly Participant[]>(live);
  // Right after a room was exchanged for its successor, the list is still the old one's.
  const current = connected && live.includes(room.localParticipant);
  if (current && kept !== live) setKept(live);
  return current ? live : kept;
}
