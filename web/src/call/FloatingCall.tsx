import type { Participant, Room } from "livekit-client";
import { Mic, MicOff, PhoneOff, PictureInPicture } from "lucide-react";
import { useEffect, useState } from "react";
import { createPortal } from "react-dom";
import { useTranslation } from "../i18n/useTranslation";
import { Avatar } from "../components/Avatar";
import type { OwnMedia } from "../hooks/useOwnMedia";
import { usePerson } from "../hooks/usePerson";
import type { SharedScreen } from "../hooks/useScreens";
import { useSpeakers } from "../hooks/useSpeakers";
import { hasPictureInPicture, openWindow, toggleVideo } from "../lib/pictureInPicture";
import { VideoTrack } from "./TrackMedia";

interface Props {
  room: Room;
  participants: readonly Participant[];
  screens: readonly SharedScreen[];
  media: OwnMedia;
  onLeave: () => void;
  onProblem: (text: string) => void;
}

/** The button for a small window over other programs, and what is in it: who speaks or what is shared, mute and leave. */
export function FloatingCall(props: Props) {
  const { t } = useTranslation("media");
  const [floating, setFloating] = useState<Window | null>(null);
  useEffect(() => {
    if (floating === null) return;
    const gone = () => {
      setFloating(null);
    };
    floating.addEventListener("pagehide", gone);
    return () => {
      floating.removeEventListener("pagehide", gone);
      floating.close();
    };
  }, [floating]);
  if (!hasPictureInPicture()) return null;

  const toggle = async () => {
    if (floating !== null) {
      setFloating(null);
      return;
    }
    try {
      const opened = await openWindow();
      if (opened === null) await toggleVideo();
      else setFloating(opened);
    } catch {
      props.onProblem(t("floating.failed"));
    }
  };
  const label = floating === null ? t("floating.open") : t("floating.close");
  return (
    <>
      <button
        type="button"
        className="icon-button boxed floating-toggle"
        data-testid="toggle-floating"
        aria-label={label}
        aria-pressed={floating !== null}
        data-tip={label}
        data-tip-side="below"
        onClick={() => void toggle()}
      >
        <PictureInPicture size={18} aria-hidden />
      </button>
      {floating !== null && createPortal(<Inside {...props} />, floating.document.body)}
    </>
  );
}

function Inside({ room, participants, screens, media, onLeave }: Props) {
  const { t } = useTranslation();
  const { lastOther } = useSpeakers(room);
  const others = participants.filter((one) => !one.isLocal);
  const shown = others.find((one) => one.identity === lastOther) ?? others[0] ?? room.localParticipant;
  const [screen] = screens;
  return (
    <main className="floating" data-testid="floating">
      {screen === undefined ? (
        <Face key={shown.identity} participant={shown} />
      ) : (
        <VideoTrack
          className="floating-screen"
          publication={screen.publication}
        />
      )}
      <div className="floating-controls">
        <button
          type="button"
          className={media.micOn ? "round" : "round off"}
          data-testid="floating-mic"
          aria-label={media.micOn ? t("call.micOn") : t("call.micOff")}
          onClick={media.toggleMic}
        >
          {media.micOn ? <Mic size={20} aria-hidden /> : <MicOff size={20} aria-hidden />}
        </button>
        <button
          type="button"
          className="round leave"
          data-testid="floating-leave"
          aria-label={t("call.leave")}
          onClick={onLeave}
        >
          <PhoneOff size={20} aria-hidden />
        </button>
      </div>
    </main>
  );
}

function Face({ participant }: { participant: Participant }) {
  const person = usePerson(participant);
  const { camera, cameraOn, cameraReady } = person;
  return (
    <>
      {camera !== undefined && cameraOn && cameraReady ? (
        <VideoTrack
          className={person.local ? "floating-face mirrored" : "floating-face"}
          publication={camera}
        />
      ) : (
        <Avatar name={person.name} identity={person.identity} />
      )}
      <bdi className="floating-name">{person.name}</bdi>
    </>
  );
}
