/** What sealed rooms keep in this browser: IndexedDB, or, where the browser blocks it, as long as the page is there. */

import { ask } from "../lib/indexedDb";
import type { RingStore } from "./keyRing";

const DATABASE = { name: "ting-sealed", stores: { rings: {}, devices: {} } };
type StoreName = keyof (typeof DATABASE)["stores"];

const unstored = new Map<string, unknown>();

export async function load(store: StoreName, key: string): Promise<unknown> {
  try {
    return await ask<unknown>(DATABASE, store, "readonly", (at) => at.get(key) as IDBRequest<unknown>);
  } catch {
    return unstored.get(`${store} ${key}`);
  }
}

export async function save(store: StoreName, key: string, value: unknown): Promise<void> {
  try {
    await ask(DATABASE, store, "readwrite", (at) => at.put(value, key));
  } catch {
    unstored.set(`${store} ${key}`, value);
  }
}

export const RINGS: RingStore = {
  load: (room) => load("rings", room),
  save: (room, ring) => save("rings", room, ring),
};
