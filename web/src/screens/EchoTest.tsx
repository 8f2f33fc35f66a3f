import { Ear, LoaderCircle, Square } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { canRecord, type EchoVerdict, play, record, verdictOf } from "../lib/echo";

type State = "idle" | "recording" | "playing";

/** Four seconds of one's own voice, and then the same from the speaker: what others would hear. */
export function EchoTest({ mic, speakerId }: { mic: MediaStreamTrack | null; speakerId: string }) {
  const { t } = useTranslation("media");
  const [state, setState] = useState<State>("idle");
  const [verdict, setVerdict] = useState<EchoVerdict | "failed" | null>(null);
  const stopping = useRef<AbortController | null>(null);
  useEffect(
    () => () => {
      stopping.current?.abort();
    },
    [],
  );
  if (!canRecord()) return null;

  const run = async (track: MediaStreamTrack) => {
    const stop = new AbortController();
    stopping.current = stop;
    setVerdict(null);
    setState("recording");
    try {
      const { sound, loudestDb } = await record(track, stop.signal);
      if (stop.signal.aborted) return;
      const heard = verdictOf(loudestDb);
      setVerdict(heard);
      if (heard === "nothing") return;
      setState("playing");
      await play(sound, speakerId, stop.signal);
    } catch {
      setVerdict("failed");
    } finally {
      setState("idle");
    }
  };
  return (
    <div className="echo-test" data-testid="echo-test" data-state={state} data-verdict={verdict ?? undefined}>
      <button
        type="button"
        className="button small"
        data-testid="echo-button"
        disabled={mic === null && state === "idle"}
        onClick={() => {
          if (state !== "idle") stopping.current?.abort();
          else if (mic !== null) void run(mic);
        }}
      >
        {state === "idle" && <Ear size={16} aria-hidden />}
        {state === "recording" && <LoaderCircle size={16} className="spin" aria-hidden />}
        {state === "playing" && <Square size={16} aria-hidden />}
        {t(`echo.${state}`)}
      </button>
      <p role="status" className={verdict === null || verdict === "good" ? "hint" : "effect-note"}>
        {verdict !== null && t(`echo.verdict.${verdict}`)}
      </p>
    </div>
  );
}
