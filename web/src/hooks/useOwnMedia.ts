import { ConnectionState, type Room, Track } from "livekit-client";
import { useCallback, useState, useSyncExternalStore } from "react";
import { setCamera } from "../effects/background";
import { type DeviceProblem, deviceProblem } from "../lib/devices";
import type { Visit } from "../lib/visit";
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
  /** The camera, on, with nothing else behind the person from now on. */
  uncover: () => void;
}

/**
 * One's own microphone, camera and screen, and their switches. A `pending` source is being sent for the first time:
 * until it is, its switch shows and changes what is wanted.
 */
export function useOwnMedia(
  room: Room,
  visit: Visit,
  pending: ReadonlySet<Track.Source>,
  onProblem: (source: Track.Source, problem: DeviceProblem) => void,
): OwnMedia {
  const me = usePerson(room.localParticipant);
  const wanted = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const micOn = pending.has(Track.Source.Microphone) ? wanted.micOn : me.micOn;
  const cameraOn = pending.has(Track.Source.Camera) ? wanted.cameraOn : me.cameraOn;
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
        // What could not be switched on now must not come on by itself after a rejoin.
        if (source === Track.Source.Microphone) visit.note({ micOn: room.localParticipant.isMicrophoneEnabled });
        if (source === Track.Source.Camera) visit.note({ cameraOn: room.localParticipant.isCameraEnabled });
      } finally {
        setBusy((old) => new Set([...old].filter((entry) => entry !== source)));
      }
    },
    [room, visit, onProblem],
  );

  const toggleMic = () => {
    if (busy.has(Track.Source.Microphone)) return;
    visit.choose({ micOn: !micOn });
    if (pending.has(Track.Source.Microphone)) return;
    void change(Track.Source.Microphone, () => room.localParticipant.setMicrophoneEnabled(!micOn));
  };
  const toggleCamera = () => {
    if (busy.has(Track.Source.Camera)) return;
    visit.choose({ cameraOn: !cameraOn });
    if (pending.has(Track.Source.Camera)) return;
    void change(Track.Source.Camera, () => setCamera(room.localParticipant, !cameraOn, wanted.background));
  };
  const uncover = () => {
    visit.note({ background: "none" });
    if (cameraOn || busy.has(Track.Source.Camera)) return;
    void change(Track.Source.Camera, () => setCamera(room.localParticipant, true, "none"));
  };
  const toggleScreen = () => {
    if (busy.has(Track.Source.ScreenShare) || room.state === ConnectionState.Disconnected) return;
    const options = { audio: true, contentHint: "detail", surfaceSwitching: "include" } as const;
    void change(Track.Source.ScreenShare, () =>
      room.localParticipant.setScreenShareEnabled(!me.sharing, me.sharing ? undefined : options),
    );
  };

  return {
    micOn,
    cameraOn,
    screenOn: me.sharing,
    busy,
    toggleMic,
    toggleCamera,
    toggleScreen,
    uncover,
  };
}

// Browsers give the same error for "cancelled" and "forbidden"; only Chrome and Safari tell them apart, by the text.
function isCancelled(error: unknown): boolean {
  return error instanceof Error && error.name === "NotAllowedError" && !/system/i.test(error.message);
}
