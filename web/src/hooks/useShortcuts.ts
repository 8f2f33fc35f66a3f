import { useEffect } from "react";
import { type Keys, type Shortcut, shortcutOf } from "../lib/shortcuts";

/** Whether keys belong to whatever has the focus: a field that is written into, or an open dialog. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog") !== null;
}

/** Runs the action of a single-key shortcut, unless they are off, somebody types or a dialog is open. */
export function useShortcuts(keys: Keys | null, actions: Record<Shortcut, () => void>): void {
  useEffect(() => {
    if (keys === null) return;
    const onKey = (event: KeyboardEvent) => {
      const shortcut = shortcutOf(event, isTyping(event.target), keys);
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
