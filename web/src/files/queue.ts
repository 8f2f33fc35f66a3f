/** Files on their way into a room: one after the other, each until it is there, cancelled, or refused. */

import type { Draft } from "../log/outbox";
import { type KeptUpload, MAX_KEPT_BYTES, newUploadId, type UploadStore } from "./keptUploads";
import type { Size } from "./picture";
import { type FileProblem, fileProblem } from "./problem";

export interface OnItsWay {
  id: number;
  name: string;
  sizeBytes: number;
  sentBytes: number;
  /** Interrupted: its page went away, and the file has to be chosen again. */
  state: "waiting" | "sending" | "failed" | "interrupted";
  problem: FileProblem | null;
}

/** One try to send one file. */
export interface Sending {
  /** The file's id when all of it is there. */
  done: Promise<string>;
  /** Where its bytes go; null while the server has not said it. The next try goes on from there. */
  url: () => string | null;
  /** Stops, and takes away what the server has of it. */
  cancel: () => void;
}

export type Send = (file: File, url: string | null, onSent: (bytes: number) => void) => Sending;

export interface FileKeys {
  keyOf: (file: File) => string;
  /** For bytes that this key sealed before, and for no others. */
  useKey: (file: File, key: string) => void;
}

export interface QueueOptions {
  send: Send;
  write: (draft: Draft) => void;
  /** What a message about this file says beside its name and size. */
  describe?: (fileId: string) => Record<string, unknown>;
  measure: (file: File) => Promise<Size | null>;
  /** Null: what is on its way ends with the page. */
  store?: UploadStore | null;
  /** In a sealed room. */
  keys?: FileKeys;
  /** Takes away what the server has of an upload that nothing sends to any more. */
  discard?: (url: string) => void;
}

interface Item extends OnItsWay {
  file: File | null;
  kept: Omit<KeptUpload, "file">;
  sending: Sending | null;
}

const MAX_NAME_LENGTH = 255;

export class UploadQueue {
  private items: readonly Item[] = [];
  private count = 0;
  private visit = 0;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly options: QueueOptions) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): readonly OnItsWay[] => this.items;

  readonly add = (files: readonly File[], to = ""): void => {
    for (const file of files) {
      // Whoever sends a file again that was interrupted wants the rest of it to be sent, if the same people see it.
      const before = this.items.find(({ state, kept }) => state === "interrupted" && kept.to === to && isSame(kept, file));
      if (before === undefined) this.addItem(file, keptOf(file, to, this.options.keys?.keyOf(file) ?? ""));
      else this.choose(before.id, file);
    }
    this.next();
  };

  /** What an earlier page left goes on, as far as its file was kept. */
  async restore(): Promise<void> {
    const { store } = this.options;
    if (store == null) return;
    const visit = (this.visit += 1);
    const kept = await store.take();
    if (visit !== this.visit) return;
    for (const { file, ...rest } of kept) {
      if (file !== null && rest.key !== "") this.options.keys?.useKey(file, rest.key);
      this.addItem(file, rest);
    }
    this.next();
  }

  /** The file of an interrupted upload. */
  readonly choose = (id: number, file: File): void => {
    const item = this.find(id);
    if (item?.state !== "interrupted") return;
    if (isSame(item.kept, file)) this.change(id, { state: "waiting", problem: null, file });
    else this.change(id, { problem: "other_file" });
    this.next();
  };

  readonly cancel = (id: number): void => {
    const item = this.find(id);
    if (item !== undefined) this.giveUp(item);
    this.remove(id);
    this.next();
  };

  readonly retry = (id: number): void => {
    if (this.find(id)?.state !== "failed") return;
    this.change(id, { state: "waiting", problem: null });
    this.next();
  };

  /** What failed for want of a connection is tried again. */
  readonly tryNow = (): void => {
    for (const { id, problem } of this.items) if (problem === "unreachable") this.retry(id);
  };

  /** One leaves the room. */
  stop(): void {
    this.visit += 1;
    for (const item of this.items) this.giveUp(item);
    this.set([]);
  }

  private addItem(file: File | null, kept: Item["kept"]): void {
    const { name, sizeBytes } = kept;
    const state = file === null ? "interrupted" : "waiting";
    this.set([...this.items, { id: ++this.count, name, sizeBytes, sentBytes: 0, state, problem: null, file, kept, sending: null }]);
    if (file !== null) this.keep(file, kept);
  }

  private keep(file: File, kept: Item["kept"]): void {
    const isSmall = file.size <= MAX_KEPT_BYTES;
    // A file that is chosen again may have other bytes, and two must never be sealed with one key.
    if (isSmall || kept.key === "") void this.options.store?.keep({ ...kept, file: isSmall ? file : null });
  }

  private giveUp({ sending, kept }: Item): void {
    if (sending !== null) sending.cancel();
    else if (kept.url !== "") this.options.discard?.(kept.url);
    void this.options.store?.forget(kept.id);
  }

  private next(): void {
    if (this.items.some(({ state }) => state === "sending")) return;
    const item = this.items.find(({ state }) => state === "waiting");
    if (item !== undefined) void this.send(item);
  }

  private async send({ id, file, kept: { to, url }, sending: before }: Item): Promise<void> {
    if (file === null) return;
    const sending = this.options.send(file, before?.url() ?? (url || null), (sentBytes) => {
      this.change(id, { sentBytes });
      this.keepUrl(id, sending.url() ?? "");
    });
    this.change(id, { state: "sending", sending });
    try {
      const [fileId, size] = await Promise.all([sending.done, this.options.measure(file)]);
      const item = this.find(id);
      if (item === undefined) return;
      this.remove(id);
      const body = { file_id: fileId, name: item.name, size: file.size, type: file.type.slice(0, MAX_NAME_LENGTH), ...size, ...this.options.describe?.(fileId) };
      this.options.write({ verb: "file", body, ...(to === "" ? {} : { to }) });
      void this.options.store?.forget(item.kept.id);
    } catch (error) {
      this.change(id, { state: "failed", problem: fileProblem(error) });
    }
    this.next();
  }

  private keepUrl(id: number, url: string): void {
    const item = this.find(id);
    if (item?.file == null || item.kept.url === url) return;
    const kept = { ...item.kept, url };
    this.change(id, { kept });
    this.keep(item.file, kept);
  }

  private find(id: number): Item | undefined {
    return this.items.find((item) => item.id === id);
  }

  private remove(id: number): void {
    this.set(this.items.filter((item) => item.id !== id));
  }

  private change(id: number, change: Partial<Item>): void {
    this.set(this.items.map((item) => (item.id === id ? { ...item, ...change } : item)));
  }

  private set(items: readonly Item[]): void {
    this.items = items;
    for (const listener of this.listeners) listener();
  }
}

function keptOf(file: File, to: string, key: string): Item["kept"] {
  return { id: newUploadId(), url: "", name: shortName(file.name), sizeBytes: file.size, changedMs: file.lastModified, to, key };
}

/** As far as a browser can tell without reading all of it. */
function isSame(kept: Item["kept"], file: File): boolean {
  return kept.name === shortName(file.name) && kept.sizeBytes === file.size && kept.changedMs === file.lastModified;
}

/** As many letters as an entry may have of a name; the ending says what the file is. */
function shortName(name: string): string {
  const letters = Array.from(name);
  if (letters.length <= MAX_NAME_LENGTH) return name || "file";
  return [...letters.slice(0, MAX_NAME_LENGTH - 20), ...letters.slice(-20)].join("");
}
