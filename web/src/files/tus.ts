/** Sending one file by tus 1.0.0. The library comes with the first file. */

import type { HttpRequest, Upload } from "tus-js-client";
import { roomUrl } from "../lib/api";
import { codeOf, isWorthTrying } from "./problem";
import type { Send, Sending } from "./queue";

/** Pauses before further tries; they begin anew whenever bytes have arrived. */
const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 15_000, 30_000];

/** As much of a `Source` is in memory at a time. */
const PART_BYTES = 8 * 1024 * 1024;

type Token = (fresh: boolean) => Promise<string>;

/** What is sent in a file's stead, a part at a time. */
export interface Source {
  size: number;
  slice: (start: number, end: number) => Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * `token` gives one that opens the room; with `fresh` another one than before. `sourceOf` gives what is sent instead of
 * a file, whose name and type the server does not get then.
 */
export function tusSend(room: string, token: Token, sourceOf?: (file: File) => Source): Send {
  return (file, url, onSent) => new TusSending(room, token, file, sourceOf?.(file) ?? null, url, onSent);
}

function sourceOptions(source: Source) {
  const slice = async (start: number, end: number) => {
    // tus-js-client counts what has a size, which an array of bytes has not.
    const value = new Blob([await source.slice(start, end)]);
    return { value, size: value.size, done: start + value.size >= source.size };
  };
  const opened = { size: source.size, slice, close: () => undefined };
  return {
    fileReader: { openFile: () => Promise.resolve(opened) },
    uploadSize: source.size,
    chunkSize: PART_BYTES,
    metadata: { name: "sealed", type: "application/octet-stream" },
  };
}

class TusSending implements Sending {
  readonly done: Promise<string>;
  private upload: Upload | null = null;
  private isStopped = false;
  private needsFresh = false;

  constructor(
    private readonly room: string,
    private readonly token: Token,
    private readonly file: File,
    private readonly source: Source | null,
    private readonly given: string | null,
    private readonly onSent: (bytes: number) => void,
  ) {
    this.done = this.begin();
  }

  readonly url = (): string | null => this.upload?.url ?? this.given;

  readonly cancel = (): void => {
    this.isStopped = true;
    // What cannot be taken away now ends by itself: the server removes unfinished files.
    this.upload?.abort(true).catch(() => undefined);
  };

  private async begin(): Promise<string> {
    const tus = await import("tus-js-client");
    const { file } = this;
    return new Promise((resolve, reject) => {
      if (this.isStopped) return;
      const upload = new tus.Upload(file, {
        endpoint: new URL(roomUrl(this.room, "/files"), window.location.href).href,
        uploadUrl: this.given,
        metadata: { name: file.name || "file", type: file.type },
        ...(this.source && sourceOptions(this.source)),
        retryDelays: PAUSES_MS,
        // What a shared computer keeps of a room is not for this library to decide.
        storeFingerprintForResuming: false,
        onBeforeRequest: (request) => this.authorize(request),
        onShouldRetry: (error, attempt) => this.isWorthTrying(error, attempt),
        onProgress: this.onSent,
        onSuccess: () => {
          resolve(upload.url?.split("/").at(-1) ?? "");
        },
        onError: reject,
      });
      this.upload = upload;
      upload.start();
    });
  }

  private async authorize(request: HttpRequest): Promise<void> {
    // tus-js-client takes a refused HEAD for an upload that is gone, and would begin again: that token has to be good.
    const fresh = this.needsFresh || request.getMethod() === "HEAD";
    this.needsFresh = false;
    const bearer = await this.token(fresh);
    // It cannot be aborted before it has begun.
    if (this.isStopped && request.getMethod() !== "DELETE") throw new Error("cancelled");
    request.setHeader("Authorization", `Bearer ${bearer}`);
  }

  private isWorthTrying(error: unknown, attempt: number): boolean {
    const code = codeOf(error);
    this.needsFresh = code === "unauthorized";
    return isWorthTrying(code, attempt);
  }
}
