/**
 * Keeps the files of a version for the calls that began with it, and a page that says so where there is no network.
 *
 * Nothing but built files (named by their content) and the bare start page is ever kept: no answer of the API, no page of
 * a room, no token. A new version of this waits until the page tells it to go on, which it refuses during a call.
 */

export {};

declare const self: ServiceWorkerGlobalScope;

/** Written by the build: what a call may fetch later. A new version has other names, so that this file differs. */
const PARTS = "__PARTS__" as unknown as readonly string[];

const FILES = "files";
const SHELL = "shell";
const IN_CALL = "in a call";

self.addEventListener("install", (event) => {
  event.waitUntil(keepShell());
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      await forgetOthers();
      await self.registration.navigationPreload.enable();
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("message", (event) => {
  const { kind, urls } = event.data as { kind: string; urls?: readonly string[] };
  if (kind === "keep") event.waitUntil(keep(urls ?? PARTS));
  if (kind === "update") event.waitUntil(update());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  if (pathname.startsWith("/assets/")) event.respondWith(fileOf(request));
  else if (request.mode === "navigate" && !pathname.startsWith("/api/")) event.respondWith(pageOf(event));
});

async function fileOf(request: Request): Promise<Response> {
  const files = await caches.open(FILES);
  // By address alone: the server says that its answer varies with what the browser takes, which is always the same.
  const kept = await files.match(request.url, { ignoreVary: true });
  return kept ?? fetch(request);
}

async function pageOf(event: FetchEvent): Promise<Response> {
  const shells = await caches.open(SHELL);
  try {
    const page = ((await event.preloadResponse) as Response | undefined) ?? (await fetch(event.request));
    // As the operator has it now.
    if (page.ok && new URL(event.request.url).pathname === "/") event.waitUntil(shells.put("/", page.clone()));
    return page;
  } catch (error) {
    const shell = await shells.match("/", { ignoreVary: true });
    if (shell === undefined) throw error;
    const html = (await shell.text()).replace("<head>", '<head><meta name="app-offline" content="yes">');
    const headers = new Headers(shell.headers);
    headers.delete("Content-Length");
    return new Response(html, { headers });
  }
}

/** The start page, and with it what it needs by itself. */
async function keepShell(): Promise<void> {
  const page = await fetch("/", { cache: "no-cache" });
  if (!page.ok) throw new Error(`the start page is ${String(page.status)}`);
  const html = await page.clone().text();
  await keep([...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, url]) => url ?? ""));
  await (await caches.open(SHELL)).put("/", page);
}

/** One after the other: this is never what one waits for. */
async function keep(urls: readonly string[]): Promise<void> {
  const files = await caches.open(FILES);
  for (const url of urls) {
    if (!url.startsWith("/assets/") || (await files.match(url)) !== undefined) continue;
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok === true) await files.put(url, answer);
  }
}

async function update(): Promise<void> {
  const { held } = await self.navigator.locks.query();
  if (held?.some(({ name }) => name === IN_CALL) === true) return;
  await self.skipWaiting();
}

/** Files of versions that nobody shows any more. */
async function forgetOthers(): Promise<void> {
  const shell = await (await caches.open(SHELL)).match("/");
  const html = (await shell?.text()) ?? "";
  const files = await caches.open(FILES);
  for (const { url } of await files.keys()) {
    const { pathname } = new URL(url);
    if (!PARTS.includes(pathname) && !html.includes(pathname)) await files.delete(url);
  }
}
