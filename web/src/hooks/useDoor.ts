import { useEffect, useState } from "react";
import { fetchRoom, type RoomSummary } from "../lib/api";

const AGAIN_MS = 10_000;

/** The room as it looks from outside, now and then anew; null: nobody has opened it. Undefined: not known yet. */
export function useDoor(roomName: string): RoomSummary | null | undefined {
  const [door, setDoor] = useState<RoomSummary | null>();
  useEffect(() => {
    let current = true;
    const load = () => {
      fetchRoom(roomName).then(
        (room) => {
          if (current) setDoor(room);
        },
        () => undefined, // Only a hint; joining tells what is wrong.
      );
    };
    load();
    const timer = window.setInterval(load, AGAIN_MS);
    return () => {
      current = false;
      window.clearInterval(timer);
    };
  }, [roomName]);
  return door;
}
