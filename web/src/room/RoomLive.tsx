import { createContext, type ReactNode, useContext, useEffect, useSyncExternalStore } from "react";
import type { Admission } from "../lib/api";
import type { RoomArchives } from "../files/archives";
import type { UploadQueue } from "../files/queue";
import type { RoomFiles } from "../files/roomFiles";
import type { Visit } from "../lib/visit";
import type { Draft } from "../log/outbox";
import type { RoomApi } from "../log/rest";
import type { RoomLog } from "../log/roomLog";
import type { RoomNews, RoomSnapshot } from "../log/roomState";
import type { SealedRoom } from "../sealed/sealedRoom";
import type { Breakouts } from "./breakouts";

/** The room that lasts behind a call or a chat: its log, and what one can ask of the server. */
export interface RoomLive {
  roomName: string;
  log: RoomLog;
  api: RoomApi;
  files: RoomFiles;
  uploads: UploadQueue;
  archives: RoomArchives;
  breakouts: Breakouts;
  /** What one says in the room, marked as being from the breakout room in which one is. */
  write: (draft: Draft) => void;
  /** Null in an open room. */
  sealed: SealedRoom | null;
}

export const RoomLiveContext = createContext<RoomLive | null>(null);

/** Null in a room that is only a call. */
export function useRoomLive(): RoomLive | null {
  return useContext(RoomLiveContext);
}

export function useRoomState(log: RoomLog): RoomSnapshot {
  return useSyncExternalStore(log.subscribe, log.snapshot);
}

const NONE = { subscribe: () => () => undefined, snapshot: () => null };

/** As `useRoomState`, for places that a room without a log has too. */
export function useMaybeRoomState(live: RoomLive | null): RoomSnapshot | null {
  return useSyncExternalStore<RoomSnapshot | null>(live?.log.subscribe ?? NONE.subscribe, live?.log.snapshot ?? NONE.snapshot);
}

/** What happens in the room, as long as the component is there. `news` is the same object from one time to the next. */
export function useRoomNews(live: RoomLive | null, news: Partial<RoomNews>): void {
  useEffect(() => live?.log.listen(news), [live, news]);
}

/** The second participant of a person has a suffix; the log knows the person. */
export const memberOf = (identity: string): string => identity.split("~", 1)[0] ?? identity;

export interface RoomLiveProps {
  roomName: string;
  visit: Visit;
  admission: Admission;
  onOver: (code: string) => void;
  children: ReactNode;
}
