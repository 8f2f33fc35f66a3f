import { useEffect } from "react";
import { type Shortcut, shortcutOf } from "../lib/shortcuts";

/** Runs the action of a single-key shortcut, unless somebody types or a dialog is open. */
export function useShortcuts(actions: Record<Shortcut, () => void>): void {
  useEffect(() => {
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
