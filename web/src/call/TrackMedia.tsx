/** Elements that play what is received, and one's own picture. */

import { type RemoteParticipant, RemoteTrackPublication, type Room, Track, type TrackPublication } from "livekit-client";
import { useEffect, useRef } from "react";
import { useParticipants } from "../hooks/useRoomState";

/** Puts a track into the element, and takes it out when it is another or the element goes. */
function useAttached<Element extends HTMLMediaElement>(track: Track | undefined) {
  const element = useRef<Element>(null);
  useEffect(() => {
    const at = element.current;
    if (track === undefined || at === null) return;
    track.attach(at);
    return () => {
      track.detach(at);
    };
  }, [track]);
  return element;
}

interface VideoProps {
  publication: TrackPublication;
  className: string;
  onPlaying?: () => void;
}

/** Whoever shows it draws again when the publication's track comes or goes, as `usePerson` and `useScreens` do. */
export function VideoTrack({ publication, className, onPlaying }: VideoProps) {
  const element = useAttached<HTMLVideoElement>(publication.track);
  return <video ref={element} className={className} muted playsInline onPlaying={onPlaying} />;
}

const HEARD: ReadonlySet<Track.Source> = new Set([Track.Source.Microphone, Track.Source.ScreenShareAudio, Track.Source.Unknown]);

/** What the others say, and the sound of their screens. While `muted`, it is not sent here either. */
export function RoomSound({ room, muted }: { room: Room; muted: boolean }) {
  useParticipants(room);
  return (
    <div hidden>
      {[...room.remoteParticipants.values()].flatMap((participant) =>
        soundsOf(participant).map((publication) => (
          <Sound key={`${participant.sid} ${publication.trackSid}`} publication={publication} muted={muted} />
        )),
      )}
    </div>
  );
}

function soundsOf(participant: RemoteParticipant): RemoteTrackPublication[] {
  return [...participant.audioTrackPublications.values()].filter(
    (publication): publication is RemoteTrackPublication =>
      publication instanceof RemoteTrackPublication && HEARD.has(publication.source) && publication.track !== undefined,
  );
}

function Sound({ publication, muted }: { publication: RemoteTrackPublication; muted: boolean }) {
  const element = useAttached<HTMLAudioElement>(publication.track);
  useEffect(() => {
    publication.setEnabled(!muted);
  }, [publication, muted]);
  return <audio ref={element} muted={muted} />;
}
