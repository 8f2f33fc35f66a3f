import { useEffect } from "react";
import { type Shortcut, shortcutOf } from "../lib/shortcuts";

/** Whether keys belong to whatever has the focus: a field that is written into, or an open dialog. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog") !== null;
}

/** Runs the action of a single-key shortcut, unless they are off, somebody types or a dialog is open. */
export function useShortcuts(on: boolean, actions: Record<Shortcut, () => void>): void {
  useEffect(() => {
    if (!on) return;
    const onKey = (event: KeyboardEvent) => {
      const shortcut = shortcutOf(event, isTyping(event.target));
      if (shortcut === null) return;
      event.preventDefault();
      actions[shortcut]();
    };
    window.addEventListener("keydown", onKey);
    return () => {
      window.removeEventListener("keydown", onKey);
    };
  });
}
