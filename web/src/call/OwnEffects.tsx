import type { Room } from "livekit-client";
import { useEffect, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { useNoise, useOwnMic, useStrongFailed } from "../hooks/useNoise";
import type { Visit } from "../lib/visit";

interface Props {
  room: Room;
  visit: Visit;
  onNote: (text: string) => void;
}

/** What is made of one's own sound before it is sent, for as long as the call is shown. */
export function OwnEffects({ room, visit, onNote }: Props) {
  const { t } = useTranslation("media");
  const { noise } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const mic = useOwnMic(room);
  useNoise(mic, noise);
  const strongFailed = useStrongFailed(mic) && noise === "strong";
  useEffect(() => {
    if (strongFailed) onNote(t("noise.failed"));
  }, [strongFailed, onNote, t]);
  return null;
}
