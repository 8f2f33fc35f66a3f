import { AudioLines } from "lucide-react";
import { useEffect, useRef } from "react";
import { useTranslation } from "../i18n/useTranslation";

const NOTES_HZ = [523.25, 659.25, 783.99];
const NOTE_S = 0.18;

/** Three rising notes, made on the spot, on the chosen speaker. Resolves when they have sounded. */
async function playTestSound(context: AudioContext, speakerId: string): Promise<void> {
  const out = context.createMediaStreamDestination();
  NOTES_HZ.forEach((frequency, index) => {
    const startS = context.currentTime + index * NOTE_S;
    const tone = new OscillatorNode(context, { frequency });
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.setValueAtTime(0, startS);
    volume.gain.linearRampToValueAtTime(0.25, startS + 0.02);
    volume.gain.linearRampToValueAtTime(0, startS + NOTE_S * 1.6);
    tone.connect(volume).connect(out);
    tone.start(startS);
    tone.stop(startS + NOTE_S * 1.6);
  });
  const audio = new Audio();
  audio.srcObject = out.stream;
  if (speakerId !== "" && "setSinkId" in audio) await audio.setSinkId(speakerId);
  await audio.play();
}

export function TestSound({ speakerId }: { speakerId: string }) {
  const { t } = useTranslation();
  const context = useRef<AudioContext | null>(null);

  useEffect(
    () => () => {
      void context.current?.close();
      context.current = null;
    },
    [],
  );

  const play = () => {
    context.current ??= new AudioContext();
    // A speaker that was unplugged just now stays silent: the list follows in a moment.
    playTestSound(context.current, speakerId).catch(() => undefined);
  };

  return (
    <button type="button" className="button small test-sound" aria-label={t("lobby.testSpeaker")} onClick={play}>
      <AudioLines size={16} aria-hidden />
      <span>{t("lobby.testSpeaker")}</span>
    </button>
  );
}
