/**
 * Uploads that were cut because their page went away, kept in this browser until they are there or cancelled. Without
 * IndexedDB or Web Locks (which pages without TLS lack) nothing is kept, and an upload ends with its page.
 */

import { asRecord, text } from "../lib/api";
import { ask } from "../lib/indexedDb";
import { newClientId } from "../lib/keys";

export interface KeptUpload {
  id: string;
  /** Where its bytes go; empty while the server has not said it. */
  url: string;
  name: string;
  sizeBytes: number;
  /** Of the file when it was chosen (ms since 1970): another one is another file. */
  changedMs: number;
  /** A member id: the only other one who is to see it; empty: everybody. */
  to: string;
  /** What its bytes are sealed with; empty in an open room. */
  key: string;
  /** Null: too large to be kept, it has to be chosen again. */
  file: File | null;
}

export interface UploadStore {
  /** Those of pages that are gone. From now on they are this page's. */
  take: () => Promise<KeptUpload[]>;
  keep: (upload: KeptUpload) => Promise<void>;
  forget: (id: string) => Promise<void>;
}

/** A browser copies a file that it keeps: up to here that is soon done, and takes little of its disk. */
export const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** The server removes an unfinished file after an hour without bytes at the latest. */
export const KEPT_MS = 3_600_000;

const NAME = "ting-uploads";
const STORE = "uploads";
const DATABASE = { name: NAME, stores: { [STORE]: { keyPath: "id" } } };

interface Row {
  id: string;
  /** Whose it is: one person in one room. */
  owner: string;
  atMs: number;
  upload: KeptUpload;
}

export const newUploadId = newClientId;

/** What is kept for one person in one room. */
export function keptUploads(room: string, member: string): UploadStore | null {
  if (!("indexedDB" in globalThis) || !("locks" in navigator)) return null;
  return new BrowserUploads(`${room} ${member}`);
}

class BrowserUploads implements UploadStore {
  private readonly held = new Map<string, () => void>();

  constructor(private readonly owner: string) {}

  async take(): Promise<KeptUpload[]> {
    const taken: KeptUpload[] = [];
    for (const { id, owner, atMs, upload } of await this.rows()) {
      if (owner !== this.owner && Date.now() - atMs < KEPT_MS) continue;
      if (!(await this.hold(id))) continue;
      if (Date.now() - atMs < KEPT_MS) taken.push(upload);
      else await this.forget(id);
    }
    return taken;
  }

  async keep(upload: KeptUpload): Promise<void> {
    await this.hold(upload.id);
    const row: Row = { id: upload.id, owner: this.owner, atMs: Date.now(), upload };
    await ask(DATABASE, STORE, "readwrite", (store) => store.put(row)).catch(() => undefined);
  }

  async forget(id: string): Promise<void> {
    await ask(DATABASE, STORE, "readwrite", (store) => store.delete(id)).catch(() => undefined);
    this.held.get(id)?.();
    this.held.delete(id);
  }

  private async rows(): Promise<Row[]> {
    const rows = await ask<unknown[]>(DATABASE, STORE, "readonly", (store) => store.getAll() as IDBRequest<unknown[]>).catch(() => []);
    return rows.flatMap((one) => toRow(one) ?? []);
  }

  /** Whether no other page works on it. The browser ends the hold with the page, however that goes. */
  private hold(id: string): Promise<boolean> {
    if (this.held.has(id)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const work = (lock: Lock | null) => {
        resolve(lock !== null);
        return lock === null ? undefined : new Promise<void>((end) => this.held.set(id, end));
      };
      navigator.locks.request(`${NAME} ${id}`, { ifAvailable: true }, work).catch(() => {
        resolve(false);
      });
    });
  }
}

function toRow(value: unknown): Row | null {
  const { id, owner, atMs, upload } = asRecord(value);
  const raw = asRecord(upload);
  if (typeof atMs !== "number" || typeof raw.sizeBytes !== "number" || typeof raw.changedMs !== "number") return null;
  return {
    id: text(id),
    owner: text(owner),
    atMs,
    upload: {
      id: text(id),
      url: text(raw.url),
      name: text(raw.name),
      sizeBytes: raw.sizeBytes,
      changedMs: raw.changedMs,
      to: text(raw.to),
      key: text(raw.key),
      file: raw.file instanceof File ? raw.file : null,
    },
  };
}
