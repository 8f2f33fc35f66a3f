/** Files on their way into a room: one after the other, each until it is there, cancelled, or refused. */

import type { Draft } from "../log/outbox";
import type { Size } from "./picture";
import { type FileProblem, fileProblem } from "./problem";

export interface OnItsWay {
  id: number;
  name: string;
  sizeBytes: number;
  sentBytes: number;
  state: "waiting" | "sending" | "failed";
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

export interface QueueOptions {
  send: Send;
  write: (draft: Draft) => void;
  /** What a message about this file says beside its name and size. */
  describe?: (fileId: string) => Record<string, unknown>;
  measure: (file: File) => Promise<Size | null>;
}

interface Item extends OnItsWay {
  file: File;
  /** A member id: the only other one who is to see it; empty: everybody. */
  to: string;
  sending: Sending | null;
}

const MAX_NAME_LENGTH = 255;

export class UploadQueue {
  private items: readonly Item[] = [];
  private count = 0;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly options: QueueOptions) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): readonly OnItsWay[] => this.items;

  readonly add = (files: readonly File[], to = ""): void => {
    const items = files.map(
      (file): Item => ({
        id: ++this.count,
        name: shortName(file.name),
        sizeBytes: file.size,
        sentBytes: 0,
        state: "waiting",
        problem: null,
        file,
        to,
        sending: null,
      }),
    );
    this.set([...this.items, ...items]);
    this.next();
  };

  readonly cancel = (id: number): void => {
    this.find(id)?.sending?.cancel();
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
    for (const { sending } of this.items) sending?.cancel();
    this.set([]);
  }

  private next(): void {
    if (this.items.some(({ state }) => state === "sending")) return;
    const item = this.items.find(({ state }) => state === "waiting");
    if (item !== undefined) void this.send(item);
  }

  private async send({ id, file, to, sending: before }: Item): Promise<void> {
    const sending = this.options.send(file, before?.url() ?? null, (sentBytes) => {
      this.change(id, { sentBytes });
    });
    this.change(id, { state: "sending", sending });
    try {
      const [fileId, size] = await Promise.all([sending.done, this.options.measure(file)]);
      const item = this.find(id);
      if (item === undefined) return;
      this.remove(id);
      const body = { file_id: fileId, name: item.name, size: file.size, type: file.type.slice(0, MAX_NAME_LENGTH), ...size, ...this.options.describe?.(fileId) };
      this.options.write({ verb: "file", body, ...(to === "" ? {} : { to }) });
    } catch (error) {
      this.change(id, { state: "failed", problem: fileProblem(error) });
    }
    this.next();
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

/** As many letters as an entry may have of a name; the ending says what the file is. */
function shortName(name: string): string {
  const letters = Array.from(name);
  if (letters.length <= MAX_NAME_LENGTH) return name || "file";
  return [...letters.slice(0, MAX_NAME_LENGTH - 20), ...letters.slice(-20)].join("");
}
