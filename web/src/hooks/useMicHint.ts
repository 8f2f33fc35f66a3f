import type { Room } from "livekit-client";
import { useEffect, useRef, useState } from "react";
import { copyOf } from "../effects/rawTrack";
import { decibels } from "../lib/level";
import { type MicHint, MicWatch } from "../lib/micHint";
import { useOwnMic, useRawTrack } from "./useNoise";

const INTERVAL_MS = 50;

/**
 * What to tell of the microphone itself, whatever is taken out of its sound. It is listened to here and nowhere else, also while it is muted; one that was never
 * switched on stays off.
 */
export function useMicHint(room: Room, micOn: boolean): MicHint {
  const track = useRawTrack(useOwnMic(room));
  const muted = useRef(!micOn);
  const [hint, setHint] = useState<MicHint>(null);
  useEffect(() => {
    muted.current = !micOn;
  }, [micOn]);
  useEffect(() => {
    if (track === null) return;
    const stop = watchMic(track, () => muted.current, setHint);
    return () => {
      stop();
      setHint(null);
    };
  }, [track]);
  return hint;
}

function watchMic(track: MediaStreamTrack, isMuted: () => boolean, tell: (hint: MicHint) => void): () => void {
  // A copy, since muting disables the original.
  const copy = copyOf(track);
  copy.enabled = true;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream([copy])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const watch = new MicWatch();
  const timer = window.setInterval(() => {
    // Browsers hold a context until the page was touched: then it gives zeros, which say nothing of the microphone.
    if (context.state !== "running") {
      void context.resume();
      return;
    }
    analyser.getFloatTimeDomainData(samples);
    tell(watch.feed(decibels(samples), isMuted(), performance.now()));
  }, INTERVAL_MS);
  return () => {
    window.clearInterval(timer);
    copy.stop();
    void context.close();
  };
}
