import { type Room, Track } from "livekit-client";
import { useEffect } from "react";
import { type DeviceProblem, deviceProblem } from "../lib/devices";
import { isTalkKey } from "../lib/shortcuts";
import { TalkKey } from "../lib/talkKey";
import type { Visit } from "../lib/visit";
import { isTyping } from "./useShortcuts";

const PRESSABLE = "button, a, summary, [role='button'], [role='menuitem'], [tabindex]";

/** While the space bar is held, others hear a microphone that is muted otherwise. */
export function useTalkKey(
  on: boolean,
  room: Room,
  visit: Visit,
  onProblem: (source: Track.Source, problem: DeviceProblem) => void,
): void {
  useEffect(() => {
    if (!on) return;
    const me = room.localParticipant;
    const talk = new TalkKey({
      isOn: () => me.isMicrophoneEnabled,
      set: (open) => me.setMicrophoneEnabled(open),
      onProblem: (error) => {
        onProblem(Track.Source.Microphone, deviceProblem(error));
      },
    });
    const release = () => {
      const held = talk.release();
      // The choice was "muted": a way back into the call must not open the microphone.
      if (held) visit.note({ micOn: false });
      return held;
    };
    return listenToKey(() => talk.press(), release);
  }, [on, room, visit, onProblem]);
}

function listenToKey(press: () => boolean, release: () => boolean): () => void {
  // Space presses a focused button; but one that has the focus from a click is not what the person looks at.
  let byPointer = true;
  let held = false;
  const onPointer = () => {
    byPointer = true;
  };
  const onDown = (event: KeyboardEvent) => {
    if (event.code === "Tab") byPointer = false;
    const { target } = event;
    if (event.code !== "Space" || isTyping(target)) return;
    const pressable = !byPointer && target instanceof Element && target.closest(PRESSABLE) !== null;
    if (pressable || !(event.repeat || isTalkKey(event))) return;
    // A held key repeats, and would scroll.
    if (event.repeat ? held : (held = press())) event.preventDefault();
  };
  const onUp = (event: KeyboardEvent) => {
    if (event.code !== "Space") return;
    held = false;
    // Without this it would press the button that was clicked last.
    if (release()) event.preventDefault();
  };
  // Whoever looks elsewhere cannot let go of the key here.
  const onAway = () => {
    held = false;
    release();
  };
  window.addEventListener("pointerdown", onPointer, true);
  window.addEventListener("keydown", onDown);
  window.addEventListener("keyup", onUp);
  window.addEventListener("blur", onAway);
  document.addEventListener("visibilitychange", onAway);
  return () => {
    window.removeEventListener("pointerdown", onPointer, true);
    window.removeEventListener("keydown", onDown);
    window.removeEventListener("keyup", onUp);
    window.removeEventListener("blur", onAway);
    document.removeEventListener("visibilitychange", onAway);
    onAway();
  };
}
