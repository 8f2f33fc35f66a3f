/** A room as an archive: taken along, and brought in; one at a time, with how far it is, until it is done or cancelled. */

import { ApiError, asRecord, roomUrl, toApiError } from "../lib/api";
import { saveAs } from "../lib/saveAs";
import { ARCHIVE_PROBLEMS, type ArchiveProblem, codeOf } from "./problem";

export interface Imported {
  entries: number;
  files: number;
  /** What was not taken in, of whatever kind. */
  leftOut: number;
}

export type ArchiveState =
  | { kind: "idle" }
  | { kind: "taking" | "bringing"; doneBytes: number; totalBytes: number }
  /** All bytes are there; the server reads them. */
  | { kind: "checking" }
  | { kind: "taken" }
  | { kind: "brought"; imported: Imported }
  | { kind: "failed"; problem: ArchiveProblem };

export type OnBytes = (done: number, total: number) => void;

/** What moves the bytes; both throw `ApiError`. */
export interface Transport {
  take: (onBytes: OnBytes, signal: AbortSignal) => Promise<Blob>;
  bring: (file: Blob, onBytes: OnBytes, signal: AbortSignal) => Promise<Imported>;
}

export class RoomArchives {
  private state: ArchiveState = { kind: "idle" };
  private end = new AbortController();
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly transport: Transport,
    private readonly save: (archive: Blob) => void,
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): ArchiveState => this.state;

  readonly take = (): Promise<void> =>
    this.run(async (signal) => {
      const onBytes = (doneBytes: number, totalBytes: number) => {
        if (!signal.aborted) this.set({ kind: "taking", doneBytes, totalBytes });
      };
      onBytes(0, 0);
      const archive = await this.transport.take(onBytes, signal);
      if (!signal.aborted) this.save(archive);
      return { kind: "taken" };
    });

  readonly bring = (file: Blob): Promise<void> =>
    this.run(async (signal) => {
      const onBytes = (doneBytes: number, totalBytes: number) => {
        if (signal.aborted) return;
        this.set(doneBytes < totalBytes ? { kind: "bringing", doneBytes, totalBytes } : { kind: "checking" });
      };
      onBytes(0, file.size);
      return { kind: "brought", imported: await this.transport.bring(file, onBytes, signal) };
    });

  readonly cancel = (): void => {
    this.end.abort();
    this.set({ kind: "idle" });
  };

  private async run(act: (signal: AbortSignal) => Promise<ArchiveState>): Promise<void> {
    this.end.abort();
    this.end = new AbortController();
    const { signal } = this.end;
    let state: ArchiveState;
    try {
      state = await act(signal);
    } catch (error) {
      const code = codeOf(error);
      state = { kind: "failed", problem: ARCHIVE_PROBLEMS.find((problem) => problem === code) ?? "unknown" };
    }
    if (!signal.aborted) this.set(state);
  }

  private set(state: ArchiveState): void {
    this.state = state;
    for (const listener of this.listeners) listener();
  }
}

/** Beyond it the browser may put what has come so far on disk. */
const PIECE_BYTES = 8 * 1024 * 1024;

/** `token` gives one that opens the room; with `fresh` another one than before. */
export function archiveTransport(room: string, token: (fresh: boolean) => Promise<string>): Transport {
  return {
    take: async (onBytes, signal) => {
      let response = await ask(room, await token(false), signal);
      if (response.status === 401) response = await ask(room, await token(true), signal);
      if (!response.ok) throw toApiError(response.status, await response.json().catch(() => null));
      return collect(response, onBytes);
    },
    // Who sends much does not find out at its end that the token was over.
    bring: async (file, onBytes, signal) => send(roomUrl(room, "/import"), await token(true), file, onBytes, signal),
  };
}

async function ask(room: string, token: string, signal: AbortSignal): Promise<Response> {
  const headers = { Authorization: `Bearer ${token}` };
  try {
    return await fetch(roomUrl(room, "/export"), { headers, credentials: "same-origin", signal });
  } catch {
    throw new ApiError("unreachable", "no answer from the server");
  }
}

async function collect(response: Response, onBytes: OnBytes): Promise<Blob> {
  const total = Number(response.headers.get("Ting-Expected-Bytes"));
  const pieces: Blob[] = [];
  let chunks: Uint8Array<ArrayBuffer>[] = [];
  let [done, inMemory] = [0, 0];
  try {
    const reader = response.body?.getReader();
    for (let read = await reader?.read(); read?.done === false; read = await reader?.read()) {
      chunks.push(read.value);
      done += read.value.length;
      inMemory += read.value.length;
      if (inMemory >= PIECE_BYTES) {
        pieces.push(new Blob(chunks));
        [chunks, inMemory] = [[], 0];
      }
      onBytes(done, Math.max(total, done));
    }
  } catch {
    throw new ApiError("unreachable", "the archive was broken off");
  }
  return new Blob([...pieces, ...chunks], { type: "application/x-tar" });
}

/** By XMLHttpRequest: it alone says how much of a body has gone out. */
function send(path: string, token: string, file: Blob, onBytes: OnBytes, signal: AbortSignal): Promise<Imported> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.setRequestHeader("Content-Type", "application/x-tar");
    request.upload.onprogress = ({ loaded, total }) => {
      onBytes(loaded, total);
    };
    request.onload = () => {
      if (request.status === 200) resolve(toImported(request.response));
      else reject(toApiError(request.status, request.response));
    };
    request.onerror = request.onabort = () => {
      reject(new ApiError("unreachable", "no answer from the server"));
    };
    signal.addEventListener("abort", () => {
      request.abort();
    });
    request.send(file);
  });
}

function toImported(answer: unknown): Imported {
  const { entries, files, left_out } = asRecord(answer);
  const number = (value: unknown) => (typeof value === "number" ? value : 0);
  const leftOut = Object.values(asRecord(left_out)).reduce<number>((sum, one) => sum + number(one), 0);
  return { entries: number(entries), files: number(files), leftOut };
}

/** Gives the archive to whoever asked for it, as a download. */
export function saveArchive(room: string): (archive: Blob) => void {
  return (archive) => {
    saveAs(archive, `${room}.tar`);
  };
}
