import { LocalVideoTrack, type Room, Track } from "livekit-client";
import { useEffect, useSyncExternalStore } from "react";
import { type BackgroundProblem, backgroundProblem, isWithheld, onWithheld, putBehind } from "../effects/background";
import { onOwnPicture } from "../effects/ownPicture";
import type { Background } from "../lib/prefs";
import { useOfTrack } from "./useNoise";
import { usePerson } from "./usePerson";

/** One's own camera in a call; null until it is sent. */
export function useOwnCamera(room: Room): LocalVideoTrack | null {
  usePerson(room.localParticipant);
  const track = room.localParticipant.getTrackPublication(Track.Source.Camera)?.track;
  return track instanceof LocalVideoTrack ? track : null;
}

/** Keeps behind a person what is wanted; `onMissing`: it did not load, and the camera has to go off. */
export function useBackground(track: LocalVideoTrack | null, background: Background, onMissing: (track: LocalVideoTrack) => void): void {
  const problem = useBackgroundProblem(track);
  useEffect(() => {
    if (track === null) return;
    let current = true;
    const put = () => void putBehind(track, () => (current ? background : null));
    put();
    const stop = background === "own" ? onOwnPicture(put) : undefined;
    return () => {
      current = false;
      stop?.();
    };
  }, [track, background]);
  useEffect(() => {
    if (problem === "failed" && track !== null) onMissing(track);
  }, [problem, track, onMissing]);
}

export function useWithheld(): boolean {
  return useSyncExternalStore(onWithheld, isWithheld);
}

export function useBackgroundProblem(track: LocalVideoTrack | null): BackgroundProblem | null {
  return useOfTrack(track, backgroundProblem);
}
