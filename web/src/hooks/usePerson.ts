import {
  ConnectionQuality,
  type Participant,
  ParticipantEvent,
  Track,
  type TrackPublication,
} from "livekit-client";
import { useCallback, useMemo, useSyncExternalStore } from "react";
import { type Role, roleOf } from "../lib/api";
import { displayName } from "../lib/people";
import { type Shown, spotlightOf } from "../lib/spotlight";

/** What the app shows of a participant. */
export interface Person {
  participant: Participant;
  identity: string;
  name: string;
  local: boolean;
  micOn: boolean;
  cameraOn: boolean;
  sharing: boolean;
  speaking: boolean;
  /** In a room that lasts. */
  role: Role;
  /** What of them a host put first for all. */
  spotlight: Shown | null;
  quality: ConnectionQuality;
  camera: TrackPublication | undefined;
  /** Whether the camera's picture has arrived here. */
  cameraReady: boolean;
}

const EVENTS = [
  ParticipantEvent.TrackPublished,
  ParticipantEvent.TrackUnpublished,
  ParticipantEvent.TrackSubscribed,
  ParticipantEvent.TrackUnsubscribed,
  ParticipantEvent.TrackMuted,
  ParticipantEvent.TrackUnmuted,
  ParticipantEvent.LocalTrackPublished,
  ParticipantEvent.LocalTrackUnpublished,
  ParticipantEvent.IsSpeakingChanged,
  ParticipantEvent.ConnectionQualityChanged,
  ParticipantEvent.ParticipantNameChanged,
  ParticipantEvent.AttributesChanged,
] as const;

function describe(participant: Participant): Person {
  const camera = participant.getTrackPublication(Track.Source.Camera);
  return {
    participant,
    identity: participant.identity,
    name: displayName(participant),
    local: participant.isLocal,
    micOn: participant.isMicrophoneEnabled,
    cameraOn: participant.isCameraEnabled,
    sharing: participant.isScreenShareEnabled,
    speaking: participant.isSpeaking,
    // Nobody but the server's door sets it.
    role: roleOf(participant.attributes["ting.role"]),
    spotlight: spotlightOf(participant),
    quality: participant.connectionQuality,
    camera,
    cameraReady: camera?.track !== undefined,
  };
}

/** Follows one participant's name, tracks, mutes, speech and connection. */
export function usePerson(participant: Participant): Person {
  const subscribe = useCallback(
    (listener: () => void) => {
      for (const event of EVENTS) participant.on(event, listener);
      return () => {
        for (const event of EVENTS) participant.off(event, listener);
      };
    },
    [participant],
  );
  const signature = useSyncExternalStore(subscribe, () => {
    const { camera, ...rest } = describe(participant);
    return JSON.stringify({ ...rest, participant: undefined, camera: camera?.trackSid });
  });
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the signature stands for the participant's inner state
  return useMemo(() => describe(participant), [participant, signature]);
}
