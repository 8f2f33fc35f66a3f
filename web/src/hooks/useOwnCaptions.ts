import type { Room } from "livekit-client";
import { useEffect, useSyncExternalStore } from "react";
import { currentLanguage } from "../i18n";
import { TRANSCRIPTION } from "../lib/captions";
import { OwnCaptions, recognitionOf, speechLanguage } from "../lib/ownCaptions";
import type { Visit } from "../lib/visit";
import { useOwnMic, useSentTrack } from "./useNoise";
import { usePerson } from "./usePerson";

/** Sends what one says oneself as text, where one wants that, and only what others hear too. */
export function useOwnCaptions(room: Room, visit: Visit, onFailed: () => void): void {
  const { ownCaptions } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const { micOn } = usePerson(room.localParticipant);
  const track = useSentTrack(useOwnMic(room));
  const isHeard = ownCaptions && micOn;
  useEffect(() => {
    const kind = recognitionOf(window);
    if (!isHeard || track === null || kind === null) return;
    const stretch = crypto.randomUUID();
    const captions = new OwnCaptions(
      kind,
      speechLanguage(currentLanguage(), navigator.languages),
      ({ segment, text, final }) => {
        const attributes = { [TRANSCRIPTION.segment]: `${stretch} ${segment}`, [TRANSCRIPTION.final]: String(final) };
        // What is lost while there is no connection has been said all the same.
        room.localParticipant.sendText(text, { topic: TRANSCRIPTION.topic, attributes }).catch(() => undefined);
      },
      () => {
        visit.note({ ownCaptions: false });
        onFailed();
      },
    );
    captions.start(track);
    return () => {
      captions.stop();
    };
  }, [room, visit, isHeard, track, onFailed]);
}
