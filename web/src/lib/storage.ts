/** Browser storage that never throws: a blocked or full store behaves like an empty one. */

type StoreName = "local" | "session";

function store(name: StoreName): Storage | null {
  try {
    return name === "local" ? window.localStorage : window.sessionStorage;
  } catch {
    return null;
  }
}

export function readText(name: StoreName, key: string): string | null {
  try {
    return store(name)?.getItem(key) ?? null;
  } catch {
    return null;
  }
}

export function writeText(name: StoreName, key: string, value: string | null): void {
  try {
    if (value === null) store(name)?.removeItem(key);
    else store(name)?.setItem(key, value);
  } catch {
    // Full or blocked: the setting lasts as long as the page.
  }
}

export function readJson(name: StoreName, key: string): unknown {
  const text = readText(name, key);
  if (text === null) return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

export function writeJson(name: StoreName, key: string, value: unknown): void {
  writeText(name, key, JSON.stringify(value));
}
