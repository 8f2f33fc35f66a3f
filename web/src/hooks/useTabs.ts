import { useEffect, useState, useSyncExternalStore } from "react";
import { keepToken, keptToken } from "../lib/api";
import type { Session } from "../lib/session";
import { RoomTabs } from "../lib/tabs";
import type { Visit } from "../lib/visit";

/** Other tabs of this browser in the same room: whether there is one, and how to bring its call here. */
export function useTabs(roomName: string, visit: Visit, session: Session, inCall: boolean) {
  const [tabs] = useState(() => new RoomTabs(roomName));
  const elsewhere = useSyncExternalStore(tabs.subscribe, tabs.snapshot);

  useEffect(() => {
    tabs.open();
    const onHide = () => {
      tabs.leave();
    };
    window.addEventListener("pagehide", onHide);
    return () => {
      window.removeEventListener("pagehide", onHide);
      tabs.close();
    };
  }, [tabs]);

  useEffect(() => {
    if (!inCall) return;
    tabs.enter(() => {
      const handover = { token: keptToken(roomName), visit: visit.state };
      session.handOver();
      return handover;
    });
    return () => {
      tabs.leave();
    };
  }, [tabs, inCall, roomName, visit, session]);

  /** The other tab's call ends; this one goes on as the same person, and with nothing on that was off there. */
  const takeOver = async () => {
    const handover = await tabs.takeOver();
    if (handover === null) return;
    const { micOn, cameraOn, panel, stage, draft } = handover.visit;
    visit.note({
      micOn: micOn && visit.state.micOn,
      cameraOn: cameraOn && visit.state.cameraOn,
      panel,
      stage,
      draft,
    });
    keepToken(roomName, handover.token);
  };
  return { elsewhere, takeOver };
}
