/** Sending one file by tus 1.0.0. The library comes with the first file. */

import type { HttpRequest, Upload } from "tus-js-client";
import { roomUrl } from "../lib/api";
import { codeOf, isWorthTrying } from "./problem";
import type { Send } from "./queue";

/** Pauses before further tries; they begin anew whenever bytes have arrived. */
const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 15_000, 30_000];

/** `token` gives one that opens the room; with `fresh` another one than before. */
export function tusSend(room: string, token: (fresh: boolean) => Promise<string>): Send {
  return (file, url, onSent) => {
    let upload: Upload | null = null;
    let isStopped = false;
    let needsFresh = false;

    const authorize = async (request: HttpRequest) => {
      // tus-js-client takes a refused HEAD for an upload that is gone, and would begin again: that token has to be good.
      const fresh = needsFresh || request.getMethod() === "HEAD";
      needsFresh = false;
      const bearer = await token(fresh);
      // It cannot be aborted before it has begun.
      if (isStopped && request.getMethod() !== "DELETE") throw new Error("cancelled");
      request.setHeader("Authorization", `Bearer ${bearer}`);
    };

    const begin = async (): Promise<string> => {
      const tus = await import("tus-js-client");
      return new Promise((resolve, reject) => {
        if (isStopped) return;
        const running = new tus.Upload(file, {
          endpoint: new URL(roomUrl(room, "/files"), window.location.href).href,
          uploadUrl: url,
          metadata: { name: file.name || "file", type: file.type },
          retryDelays: PAUSES_MS,
          // What a shared computer keeps of a room is not for this library to decide.
          storeFingerprintForResuming: false,
          onBeforeRequest: authorize,
          onShouldRetry: (error, attempt) => {
            const code = codeOf(error);
            needsFresh = code === "unauthorized";
            return isWorthTrying(code, attempt);
          },
          onProgress: onSent,
          onSuccess: () => {
            resolve(running.url?.split("/").at(-1) ?? "");
          },
          onError: reject,
        });
        upload = running;
        running.start();
      });
    };

    return {
      done: begin(),
      url: () => upload?.url ?? url,
      cancel: () => {
        isStopped = true;
        // What cannot be taken away now ends by itself: the server removes unfinished files.
        upload?.abort(true).catch(() => undefined);
      },
    };
  };
}
