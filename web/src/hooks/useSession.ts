import { useEffect, useState, useSyncExternalStore } from "react";
import type { Room } from "livekit-client";
import { isDebug } from "../lib/router";
import { Session } from "../lib/session";
import type { Visit } from "../lib/visit";

declare global {
  interface Window {
    /** The running call, for browser tests; only on pages opened with `?debug=1`. */
    __tingRoom?: Room;
  }
}

/** The session of one visit; it ends with the component. */
export function useSession(roomName: string, visit: Visit) {
  const [session] = useState(() => new Session(roomName, visit));
  const state = useSyncExternalStore(session.subscribe, session.snapshot);

  useEffect(() => {
    // A network that is back, or a page that is looked at again, is a reason to try at once.
    const onVisible = () => {
      if (document.visibilityState === "visible") session.tryNow();
    };
    window.addEventListener("online", session.tryNow);
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      window.removeEventListener("online", session.tryNow);
      document.removeEventListener("visibilitychange", onVisible);
      session.dispose();
    };
  }, [session]);

  const room = state.phase.kind === "call" ? state.phase.room : null;
  useEffect(() => {
    if (room === null || !isDebug()) return;
    window.__tingRoom = room;
    return () => {
      delete window.__tingRoom;
    };
  }, [room]);

  return { session, state };
}
