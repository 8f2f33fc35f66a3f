import { type Room, Track } from "livekit-client";
import { useEffect, useRef, useState } from "react";
import { decibels } from "../lib/level";
import { type MicHint, MicWatch } from "../lib/micHint";
import { usePerson } from "./usePerson";

const INTERVAL_MS = 50;

/** One's own microphone as the browser has it now; null while it is off from the start. */
export function useMicTrack(room: Room): MediaStreamTrack | null {
  usePerson(room.localParticipant);
  const publication = room.localParticipant.getTrackPublication(Track.Source.Microphone);
  return publication?.track?.mediaStreamTrack ?? null;
}

/**
 * What to tell of the microphone. It is listened to here and nowhere else, also while it is muted; one that was never
 * switched on stays off.
 */
export function useMicHint(room: Room, micOn: boolean): MicHint {
  const track = useMicTrack(room);
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
  const copy = track.clone();
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
