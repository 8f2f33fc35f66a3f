/** The whole screen for the page. Phones of Apple have none. */

import { useSyncExternalStore } from "react";

export function canFillScreen(): boolean {
  return document.fullscreenEnabled;
}

/** Fills the screen, or gives it back. A browser that refuses leaves everything as it is. */
export function toggleFullScreen(): void {
  if (!canFillScreen()) return;
  const change = document.fullscreenElement === null ? document.documentElement.requestFullscreen() : document.exitFullscreen();
  change.catch(() => undefined);
}

export function useFullScreen(): boolean {
  return useSyncExternalStore(
    (listener) => {
      document.addEventListener("fullscreenchange", listener);
      return () => {
        document.removeEventListener("fullscreenchange", listener);
      };
    },
    () => document.fullscreenElement !== null,
  );
}
