/** What sealed rooms keep in this browser: IndexedDB, or, where the browser blocks it, as long as the page is there. */

import type { RingStore } from "./keyRing";

const NAME = "ting-sealed";
const STORES = ["rings", "devices"] as const;
type StoreName = (typeof STORES)[number];

const unstored = new Map<string, unknown>();

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      for (const store of STORES) asked.result.createObjectStore(store);
    };
    asked.onsuccess = () => {
      resolve(asked.result);
    };
    asked.onerror = () => {
      reject(asked.error ?? new Error("no database"));
    };
  });
}

async function act<Result>(store: StoreName, mode: IDBTransactionMode, work: (at: IDBObjectStore) => IDBRequest<Result>) {
  const database = await openDatabase();
  try {
    return await new Promise<Result>((resolve, reject) => {
      const transaction = database.transaction(store, mode);
      const asked = work(transaction.objectStore(store));
      transaction.oncomplete = () => {
        resolve(asked.result);
      };
      transaction.onabort = () => {
        reject(transaction.error ?? new Error("not stored"));
      };
    });
  } finally {
    database.close();
  }
}

export async function load(store: StoreName, key: string): Promise<unknown> {
  try {
    return await act<unknown>(store, "readonly", (at) => at.get(key) as IDBRequest<unknown>);
  } catch {
    return unstored.get(`${store} ${key}`);
  }
}

export async function save(store: StoreName, key: string, value: unknown): Promise<void> {
  try {
    await act(store, "readwrite", (at) => at.put(value, key));
  } catch {
    unstored.set(`${store} ${key}`, value);
  }
}

export const RINGS: RingStore = {
  load: (room) => load("rings", room),
  save: (room, ring) => save("rings", room, ring),
};
