import type { Room } from "livekit-client";
import { useCallback, useEffect, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { useBackground, useBackgroundProblem, useOwnCamera } from "../hooks/useBackground";
import { useNoise, useOwnMic, useStrongFailed } from "../hooks/useNoise";
import type { Visit } from "../lib/visit";

interface Props {
  room: Room;
  visit: Visit;
  onNote: (text: string) => void;
}

/** What is made of one's own sound and picture before they are sent, for as long as the call is shown. */
export function OwnEffects({ room, visit, onNote }: Props) {
  const { t } = useTranslation("media");
  const { noise, background } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const mic = useOwnMic(room);
  const camera = useOwnCamera(room);
  useNoise(mic, noise);
  useBackground(
    camera,
    background,
    useCallback(() => {
      visit.note({ background: "none" });
    }, [visit]),
  );
  const strongFailed = useStrongFailed(mic) && noise === "strong";
  const problem = useBackgroundProblem(camera);
  useEffect(() => {
    if (strongFailed) onNote(t("noise.failed"));
  }, [strongFailed, onNote, t]);
  useEffect(() => {
    if (problem !== null) onNote(t(`background.problem.${problem}`));
  }, [problem, onNote, t]);
  return null;
}
