import type { LocalAudioTrack } from "livekit-client";
import { useTranslation } from "../i18n/useTranslation";
import { useStrongFailed } from "../hooks/useNoise";
import { type Noise, NOISES } from "../lib/prefs";
import { Choice } from "./Choice";

interface Props {
  mic: LocalAudioTrack | null;
  noise: Noise;
  onChange: (noise: Noise) => void;
}

/** What becomes of the noise around one's microphone. */
export function NoiseChoice({ mic, noise, onChange }: Props) {
  const { t } = useTranslation("media");
  const failed = useStrongFailed(mic);
  const offered = "AudioWorkletNode" in window ? NOISES : NOISES.filter((one) => one !== "strong");
  return (
    <>
      <Choice
        label={t("noise.label")}
        testId="choose-noise"
        value={noise}
        options={offered}
        name={(one) => t(`noise.${one}`)}
        onChange={onChange}
      />
      <p className="effect-note" role="status" data-testid="noise-note">
        {noise === "strong" && failed && t("noise.failed")}
      </p>
    </>
  );
}
