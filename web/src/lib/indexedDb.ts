/** One request to a store of IndexedDB. Rejects where the browser blocks it or is out of space. */

export interface Database {
  name: string;
  stores: Record<string, IDBObjectStoreParameters>;
}

export async function ask<Result>(
  { name, stores }: Database,
  store: string,
  mode: IDBTransactionMode,
  work: (at: IDBObjectStore) => IDBRequest<Result>,
): Promise<Result> {
  const database = await open(name, stores);
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

function open(name: string, stores: Database["stores"]): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(name, 1);
    asked.onupgradeneeded = () => {
      for (const [store, options] of Object.entries(stores)) asked.result.createObjectStore(store, options);
    };
    asked.onsuccess = () => {
      resolve(asked.result);
    };
    asked.onerror = () => {
      reject(asked.error ?? new Error("no database"));
    };
  });
}
