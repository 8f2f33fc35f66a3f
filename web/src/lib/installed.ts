/** The service worker: what it keeps for this page, and whether there is a new version of the app. */

const WORKER = "/service-worker.js";
const IN_CALL = "in a call";
const KEEP_AFTER_MS = 5000;

let registration: ServiceWorkerRegistration | undefined;
let isNewer = false;
const listeners = new Set<() => void>();

/** Whether a new version waits to be used. */
export const hasUpdate = (): boolean => isNewer;

export function onUpdate(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Once for the page; in a frame of another page there is nothing to install. */
export async function install(): Promise<void> {
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (workers === undefined || window.parent !== window || !import.meta.env.PROD) return;
  try {
    registration = await workers.register(WORKER, { updateViaCache: "none" });
  } catch {
    // Without it the page is one that needs the network, as any other.
    return;
  }
  const look = () => {
    // The first one waits for nobody.
    isNewer = registration?.waiting != null && workers.controller !== null;
    for (const listener of listeners) listener();
  };
  registration.addEventListener("updatefound", () => {
    registration?.installing?.addEventListener("statechange", look);
  });
  look();
  const ready = await workers.ready;
  const files = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname);
  ready.active?.postMessage({ kind: "keep", urls: files.filter((path) => path.startsWith("/assets/")) });
}

/** Asks the server whether there is one. */
export function lookForUpdate(): void {
  registration?.update().catch(() => undefined);
}

/** Goes on with the new version, from a new page. What other pages of this browser in a call have is left alone. */
export async function applyUpdate(): Promise<void> {
  const reload = () => {
    window.location.reload();
  };
  const { held } = await navigator.locks.query();
  if (held?.some(({ name }) => name === IN_CALL) === true) {
    reload();
    return;
  }
  navigator.serviceWorker.addEventListener("controllerchange", reload, { once: true });
  registration?.waiting?.postMessage({ kind: "update" });
}

/**
 * From now on the page is in a call: no new version takes the place of this one, and what the call may fetch later is
 * kept. Returns how that ends.
 */
export function stayInVersion(): () => void {
  const over = new AbortController();
  const held = new Promise<void>((resolve) => {
    over.signal.addEventListener("abort", () => {
      resolve();
    });
  });
  const locks = navigator.locks as LockManager | undefined;
  locks?.request(IN_CALL, { mode: "shared", signal: over.signal }, () => held).catch(() => undefined);
  const timer = window.setTimeout(() => {
    if (isSaving()) return;
    registration?.active?.postMessage({ kind: "keep" });
  }, KEEP_AFTER_MS);
  return () => {
    window.clearTimeout(timer);
    over.abort();
    lookForUpdate();
  };
}

/** Whether the person has asked the browser to fetch little. */
function isSaving(): boolean {
  return (navigator as { connection?: { saveData?: boolean } }).connection?.saveData === true;
}
