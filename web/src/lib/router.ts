/** The app's pages, by path: `/` and `/r/{room}`; everything else leads nowhere. */

import { useMemo, useSyncExternalStore } from "react";
import { roomFromPath } from "./rooms";

function subscribe(listener: () => void): () => void {
  window.addEventListener("popstate", listener);
  return () => {
    window.removeEventListener("popstate", listener);
  };
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname);
}

export function useRoomOfPath(): string | null {
  const path = usePath();
  return useMemo(() => roomFromPath(path), [path]);
}

/** Moves to `path` without a page load; `?debug=1` stays. */
export function navigate(path: string): void {
  const debug = isDebug() ? "?debug=1" : "";
  window.history.pushState(null, "", path + debug);
  window.dispatchEvent(new PopStateEvent("popstate"));
}

/** Whether the page was opened with `?debug=1`, which lets tests look at the room object. */
export function isDebug(): boolean {
  return new URLSearchParams(window.location.search).get("debug") === "1";
}
