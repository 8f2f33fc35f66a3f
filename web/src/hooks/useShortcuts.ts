import { useEffect } from "react";
import { type Shortcut, shortcutOf } from "../lib/shortcuts";

/** Runs the action of a single-key shortcut, unless they are off, somebody types or a dialog is open. */
export function useShortcuts(on: boolean, actions: Record<Shortcut, () => void>): void {
  useEffect(() => {
    if (!on) return;
    const onKey = (event: KeyboardEvent) => {
      const target = event.target;
      const typing =
        target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog") !== null;
      const shortcut = shortcutOf(event, typing);
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
