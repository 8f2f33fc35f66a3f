import { type ConnectionState, type Participant, type Room, RoomEvent } from "livekit-client";
import { useMemo, useSyncExternalStore } from "react";

const CHANGES = [
  RoomEvent.Connected,
  RoomEvent.Disconnected,
  RoomEvent.ConnectionStateChanged,
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantNameChanged,
  RoomEvent.ParticipantMetadataChanged,
  RoomEvent.ParticipantAttributesChanged,
  RoomEvent.ParticipantPermissionsChanged,
  RoomEvent.TrackPublished,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.LocalTrackPublished,
  RoomEvent.LocalTrackUnpublished,
] as const;

/** How often something has changed in a room. It is listened to while anybody follows it. */
class Changes {
  version = 0;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly room: Room) {}

  readonly follow = (listener: () => void) => {
    if (this.listeners.size === 0) {
      // What has changed while nobody followed is not known.
      this.version += 1;
      for (const event of CHANGES) this.room.on(event, this.note);
    }
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      for (const event of CHANGES) this.room.off(event, this.note);
    };
  };

  private readonly note = () => {
    this.version += 1;
    for (const listener of this.listeners) listener();
  };
}

const rooms = new WeakMap<Room, Changes>();

function changesOf(room: Room): Changes {
  const known = rooms.get(room) ?? new Changes(room);
  rooms.set(room, known);
  return known;
}

function useChanges(room: Room): number {
  const changes = changesOf(room);
  return useSyncExternalStore(changes.follow, () => changes.version);
}

export function useConnectionState(room: Room): ConnectionState {
  useChanges(room);
  return room.state;
}

/**
 * Everybody in the call, oneself first: a new list whenever someone comes or goes, or one's name, rights or tracks change;
 * not for who speaks and how good the lines are, which is much more often.
 */
export function useParticipants(room: Room): readonly Participant[] {
  const version = useChanges(room);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the version stands for the room's inner state
  return useMemo(() => [room.localParticipant, ...room.remoteParticipants.values()], [room, version]);
}
