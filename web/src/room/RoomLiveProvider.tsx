import { useEffect, useMemo, useState } from "react";
import { archiveTransport, RoomArchives, saveArchive } from "../files/archives";
import { keptUploads } from "../files/keptUploads";
import { measure } from "../files/picture";
import { UploadQueue } from "../files/queue";
import { RoomFiles } from "../files/roomFiles";
import { tusSend } from "../files/tus";
import { type Admission, fetchToken, keptToken } from "../lib/api";
import type { Draft } from "../log/outbox";
import { RoomApi } from "../log/rest";
import { RoomLog } from "../log/roomLog";
import type { SealedRoom } from "../sealed/sealedRoom";
import { Breakouts } from "./breakouts";
import { memberOf, type RoomLive, RoomLiveContext, type RoomLiveProps, useRoomNews } from "./RoomLive";

const tokenOf = (roomName: string, { token }: Admission): string => keptToken(roomName) ?? token;

/** A token for the room; with `fresh` another one than before. */
export function tokensOf({ roomName, visit, admission }: Pick<RoomLiveProps, "roomName" | "visit" | "admission">) {
  return async (fresh: boolean): Promise<string> => {
    if (!fresh) return tokenOf(roomName, admission);
    const visitor = { name: visit.state.name, password: "", invitation: "", note: "", apart: admission.identity.includes("~") };
    return (await fetchToken(roomName, visitor)).token;
  };
}

/** Opens the log of a room that lasts, and all that goes with it, for as long as it is shown. */
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
  return <RoomLiveContext value={live}>{children}</RoomLiveContext>;
}
