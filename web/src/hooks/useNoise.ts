import { LocalAudioTrack, type LocalTrack, type Room, Track, TrackEvent } from "livekit-client";
import { useCallback, useEffect, useSyncExternalStore } from "react";
import { strongFailed, suppressNoise } from "../effects/noise";
import { rawTrack } from "../effects/rawTrack";
import type { Noise } from "../lib/prefs";
import { usePerson } from "./usePerson";

const CHANGES = [TrackEvent.TrackProcessorUpdate, TrackEvent.Restarted] as const;

/** Something of one's own track that changes with its device and its effects. */
export function useOfTrack<Kind extends LocalTrack, Value>(track: Kind | null, read: (track: Kind) => Value): Value | null {
  const subscribe = useCallback(
    (listener: () => void) => {
      for (const event of CHANGES) track?.on(event, listener);
      return () => {
        for (const event of CHANGES) track?.off(event, listener);
      };
    },
    [track],
  );
  return useSyncExternalStore(subscribe, () => (track === null ? null : read(track)));
}

/** What others get of one's own track. */
export function useSentTrack(track: LocalTrack | null): MediaStreamTrack | null {
  return useOfTrack(track, (one) => one.mediaStreamTrack);
}

/** What the device gives. */
export function useRawTrack(track: LocalTrack | null): MediaStreamTrack | null {
  return useOfTrack(track, rawTrack);
}

/** One's own microphone in a call; null until it is sent. */
export function useOwnMic(room: Room): LocalAudioTrack | null {
  usePerson(room.localParticipant);
  const track = room.localParticipant.getTrackPublication(Track.Source.Microphone)?.track;
  return track instanceof LocalAudioTrack ? track : null;
}

/** Keeps a microphone at the noise suppression that is wanted. */
export function useNoise(track: LocalAudioTrack | null, noise: Noise): void {
  useEffect(() => {
    if (track === null) return;
    let current = true;
    void suppressNoise(track, () => (current ? noise : null));
    return () => {
      current = false;
    };
  }, [track, noise]);
}

/** Whether the strong noise suppression is wanted and does not work. */
export function useStrongFailed(track: LocalAudioTrack | null): boolean {
  return useOfTrack(track, strongFailed) === true;
}
