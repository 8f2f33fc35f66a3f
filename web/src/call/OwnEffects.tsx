import type { LocalVideoTrack, Room } from "livekit-client";
import { useCallback, useEffect, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { BackgroundNotice } from "../components/BackgroundNotice";
import { useBackground, useOwnCamera } from "../hooks/useBackground";
import { useOwnCaptions } from "../hooks/useOwnCaptions";
import { useNoise, useOwnMic, useStrongFailed } from "../hooks/useNoise";
import type { OwnMedia } from "../hooks/useOwnMedia";
import type { Visit } from "../lib/visit";

interface Props {
  room: Room;
  visit: Visit;
  media: OwnMedia;
  onNote: (text: string) => void;
}

/** What is made of one's own sound and picture before they are sent, for as long as the call is shown, and what does not work of it. */
export function OwnEffects({ room, visit, media, onNote }: Props) {
  const { t } = useTranslation("media");
  const { noise, background } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const mic = useOwnMic(room);
  const camera = useOwnCamera(room);
  useNoise(mic, noise);
  useBackground(
    camera,
    background,
    useCallback((track: LocalVideoTrack) => {
      void room.localParticipant.unpublishTrack(track);
    }, [room]),
  );
  useOwnCaptions(
    room,
    visit,
    useCallback(() => {
      onNote(t("captions.own.none"));
    }, [onNote, t]),
  );
  const strongFailed = useStrongFailed(mic) && noise === "strong";
  useEffect(() => {
    if (strongFailed) onNote(t("noise.failed"));
  }, [strongFailed, onNote, t]);
  return <BackgroundNotice camera={camera} onUncover={media.uncover} onTryAgain={media.toggleCamera} />;
}
