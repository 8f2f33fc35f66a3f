import { useEffect, useRef } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { decibels, loudness } from "../lib/level";

const ARIA_INTERVAL_MS = 500;

/** Watches a microphone track until the returned function is called. */
function watchLevel(track: MediaStreamTrack, onLevel: (level: number) => void): () => void {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let level = 0;
  let frame = 0;
  const tick = () => {
    analyser.getFloatTimeDomainData(samples);
    const now = loudness(decibels(samples));
    // Up at once, down slowly: the eye can follow.
    level = now > level ? now : level * 0.9 + now * 0.1;
    onLevel(level);
    frame = requestAnimationFrame(tick);
  };
  const resume = () => void context.resume();
  window.addEventListener("pointerdown", resume, { once: true });
  tick();
  return () => {
    cancelAnimationFrame(frame);
    window.removeEventListener("pointerdown", resume);
    void context.close();
  };
}

export function LevelMeter({ track }: { track: MediaStreamTrack | null }) {
  const { t } = useTranslation();
  const meter = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const element = meter.current;
    if (element === null) return;
    const show = (level: number) => {
      element.style.setProperty("--level", level.toFixed(3));
      element.dataset.level = level.toFixed(3);
    };
    show(0);
    if (track === null) return;
    let spokenAtMs = 0;
    return watchLevel(track, (level) => {
      show(level);
      const nowMs = performance.now();
      if (nowMs - spokenAtMs < ARIA_INTERVAL_MS) return;
      spokenAtMs = nowMs;
      element.setAttribute("aria-valuenow", String(Math.round(level * 100)));
    });
  }, [track]);

  return (
    <div
      ref={meter}
      className="level-meter"
      data-testid="level-meter"
      role="meter"
      aria-label={t("lobby.level")}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={0}
    >
      <div className="level-fill" />
    </div>
  );
}
