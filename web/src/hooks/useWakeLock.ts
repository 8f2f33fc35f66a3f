import { useEffect } from "react";

/** Keeps the screen awake while mounted, where the browser can. */
export function useWakeLock(): void {
  useEffect(() => {
    if (!("wakeLock" in navigator)) return;
    let current = true;
    let lock: WakeLockSentinel | null = null;
    const request = async () => {
      if (document.visibilityState !== "visible") return;
      try {
        const fresh = await navigator.wakeLock.request("screen");
        if (current) lock = fresh;
        else await fresh.release();
      } catch {
        // Refused, for example on low battery: the call works without it.
      }
    };
    // The browser drops the lock whenever the page is hidden.
    const again = () => void request();
    again();
    document.addEventListener("visibilitychange", again);
    return () => {
      current = false;
      document.removeEventListener("visibilitychange", again);
      void lock?.release();
    };
  }, []);
}
