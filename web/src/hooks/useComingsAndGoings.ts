import { ConnectionState, type RemoteParticipant, type Room, RoomEvent } from "livekit-client";
import { useEffect, useRef } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { displayName } from "../lib/people";

/** Says who comes and who goes; not of those who only lose the connection and come back together with oneself. */
export function useComingsAndGoings(room: Room, show: (text: string) => void): void {
  const { t } = useTranslation();
  const known = useRef(new Set<string>());
  const previous = useRef(room);

  useEffect(() => {
    const came = (participant: RemoteParticipant) => {
      if (known.current.has(participant.identity)) return;
      known.current.add(participant.identity);
      show(t("call.joined", { name: displayName(participant) }));
    };
    const went = (participant: RemoteParticipant) => {
      // While the library reconnects it takes everybody out of its list and puts them in again.
      if (room.state !== ConnectionState.Connected) return;
      known.current.delete(participant.identity);
      show(t("call.left", { name: displayName(participant) }));
    };
    const back = () => {
      show(t("call.reconnected"));
    };
    if (previous.current !== room) back();
    previous.current = room;
    for (const identity of room.remoteParticipants.keys()) known.current.add(identity);
    room.on(RoomEvent.ParticipantConnected, came);
    room.on(RoomEvent.ParticipantDisconnected, went);
    room.on(RoomEvent.Reconnected, back);
    return () => {
      room.off(RoomEvent.ParticipantConnected, came);
      room.off(RoomEvent.ParticipantDisconnected, went);
      room.off(RoomEvent.Reconnected, back);
    };
  }, [room, show, t]);
}
