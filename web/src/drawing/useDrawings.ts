import type { Room } from "livekit-client";
import { useCallback, useSyncExternalStore } from "react";
import { type RoomLive, useRoomLive } from "../room/RoomLive";
import { Drawings, type SheetView } from "./drawings";

const calls = new WeakMap<Room, Drawings>();

function drawingsOf(room: Room, live: RoomLive | null): Drawings {
  const known = calls.get(room);
  if (known !== undefined) return known;
  const drawings = new Drawings(room, live);
  calls.set(room, drawings);
  return drawings;
}

/** All parts of the page that show drawings of one call share one of them. */
export function useDrawings(room: Room): Drawings {
  return drawingsOf(room, useRoomLive());
}

export function useSheet(drawings: Drawings, presenter: string, share: string): SheetView {
  return useSyncExternalStore(
    drawings.subscribe,
    useCallback(() => drawings.view(presenter, share), [drawings, presenter, share]),
  );
}
