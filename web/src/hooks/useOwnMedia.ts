import { type Room, Track } from "livekit-client";
import { useCallback, useState } from "react";
import { type DeviceProblem, deviceProblem } from "../lib/devices";
import { savePrefs } from "../lib/prefs";
import { usePerson } from "./usePerson";

export interface OwnMedia {
  micOn: boolean;
  cameraOn: boolean;
  screenOn: boolean;
  /** Sources that are being switched right now; a second switch waits for the first. */
  busy: ReadonlySet<Track.Source>;
  toggleMic: () => void;
  toggleCamera: () => void;
  toggleScreen: () => void;
}

/** One's own microphone, camera and screen, and their switches. */
export function useOwnMedia(room: Room, onProblem: (source: Track.Source, problem: DeviceProblem) => void): OwnMedia {
  const me = usePerson(room.localParticipant);
  const [busy, setBusy] = useState<ReadonlySet<Track.Source>>(new Set());

  const change = useCallback(
    async (source: Track.Source, action: () => Promise<unknown>) => {
      setBusy((old) => new Set([...old, source]));
      try {
        await action();
      } catch (error) {
        // Closing the browser's window picker is a choice, not a fault.
        const cancelled = source === Track.Source.ScreenShare && isCancelled(error);
        if (!cancelled) onProblem(source, deviceProblem(error));
      } finally {
        setBusy((old) => new Set([...old].filter((entry) => entry !== source)));
      }
    },
    [onProblem],
  );

  const toggleMic = () => {
    if (busy.has(Track.Source.Microphone)) return;
    savePrefs({ micOn: !me.micOn });
    void change(Track.Source.Microphone, () => room.localParticipant.setMicrophoneEnabled(!me.micOn));
  };
  const toggleCamera = () => {
    if (busy.has(Track.Source.Camera)) return;
    savePrefs({ cameraOn: !me.cameraOn });
    void change(Track.Source.Camera, () => room.localParticipant.setCameraEnabled(!me.cameraOn));
  };
  const toggleScreen = () => {
    if (busy.has(Track.Source.ScreenShare)) return;
    const options = { audio: true, contentHint: "detail", surfaceSwitching: "include" } as const;
    void change(Track.Source.ScreenShare, () =>
      room.localParticipant.setScreenShareEnabled(!me.sharing, me.sharing ? undefined : options),
    );
  };

  return {
    micOn: me.micOn,
    cameraOn: me.cameraOn,
    screenOn: me.sharing,
    busy,
    toggleMic,
    toggleCamera,
    toggleScreen,
  };
}

// Browsers give the same error for "cancelled" and "forbidden"; only Chrome and Safari tell them apart, by the text.
function isCancelled(error: unknown): boolean {
  return error instanceof Error && error.name === "NotAllowedError" && !/system/i.test(error.message);
}
