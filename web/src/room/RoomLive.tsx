import { createContext, type ReactNode, useContext, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { type Admission, fetchToken, keptToken } from "../lib/api";
import { archiveTransport, RoomArchives, saveArchive } from "../files/archives";
import { keptUploads } from "../files/keptUploads";
import { measure } from "../files/picture";
import { UploadQueue } from "../files/queue";
import { RoomFiles } from "../files/roomFiles";
import { tusSend } from "../files/tus";
import type { Visit } from "../lib/visit";
import type { Draft } from "../log/outbox";
import { RoomApi } from "../log/rest";
import { RoomLog } from "../log/roomLog";
import type { RoomNews, RoomSnapshot } from "../log/roomState";
import type { SealedRoom } from "../sealed/sealedRoom";
import { Breakouts } from "./breakouts";

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

const RoomLiveContext = createContext<RoomLive | null>(null);

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

const tokenOf = (roomName: string, { token }: Admission): string => keptToken(roomName) ?? token;

/** A token for the room; with `fresh` another one than before. */
export function tokensOf({ roomName, visit, admission }: Pick<RoomLiveProps, "roomName" | "visit" | "admission">) {
  return async (fresh: boolean): Promise<string> => {
    if (!fresh) return tokenOf(roomName, admission);
    const visitor = { name: visit.state.name, password: "", invitation: "", note: "", apart: admission.identity.includes("~") };
    return (await fetchToken(roomName, visitor)).token;
  };
}

export function RoomLiveProvider({ roomName, visit, admission, onOver, sealed = null, children }: RoomLiveProps & { sealed?: SealedRoom | null }) {
  const [live] = useState((): RoomLive => {
    const token = tokensOf({ roomName, visit, admission });
    const kept = () => tokenOf(roomName, admission);
    const api = sealed?.api(kept) ?? new RoomApi(roomName, kept);
    const log = new RoomLog({ room: roomName, me: memberOf(admission.identity), token, api, connect: sealed?.connect });
    const breakouts = new Breakouts(memberOf(admission.identity));
    log.listen({ onMessage: breakouts.hear });
    const write = (draft: Draft) => {
      log.write(breakouts.mark(draft));
    };
    const send = sealed?.files.send ?? tusSend(roomName, token);
    const files = new RoomFiles(roomName, token);
    const uploads = new UploadQueue({
      send,
      write,
      measure,
      describe: sealed?.files.describe,
      store: keptUploads(roomName, memberOf(admission.identity)),
      keys: sealed?.files,
      discard: (url) => void files.remove(url.split("/").at(-1) ?? "").catch(() => undefined),
    });
    const archives = new RoomArchives(archiveTransport(roomName, token), saveArchive(roomName));
    return { roomName, api, log, files, uploads, archives, breakouts, write, sealed };
  });

  useRoomNews(live, useMemo(() => ({ onOver }), [onOver]));
  useEffect(() => {
    const { log, uploads, archives } = live;
    const onVisible = () => {
      if (document.visibilityState === "visible") log.tryNow();
    };
    log.open();
    void uploads.restore();
    window.addEventListener("online", log.tryNow);
    window.addEventListener("online", uploads.tryNow);
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      window.removeEventListener("online", log.tryNow);
      window.removeEventListener("online", uploads.tryNow);
      document.removeEventListener("visibilitychange", onVisible);
      log.close();
      uploads.stop();
      archives.cancel();
    };
  }, [live]);
  return <RoomLiveContext.Provider value={live}>{children}</RoomLiveContext.Provider>;
}
