/** The server's REST API, as far as the web app needs it. */

import { readText, writeText } from "./storage";

const TIMEOUT_MS = 10_000;

export interface ServerConfig {
  name: string;
  version: string;
}

export interface RoomSummary {
  numParticipants: number;
}

export interface Admission {
  token: string;
  url: string;
  identity: string;
}

/** An answer that is not 2xx, or none at all (`unreachable`). `code` is the server's stable error code. */
export class ApiError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "ApiError";
    this.code = code;
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

async function request(path: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
  let response: Response;
  let body: unknown = null;
  try {
    response = await fetch(path, { ...init, credentials: "omit", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new ApiError("unreachable", "no answer from the server");
  }
  try {
    body = await response.json();
  } catch {
    // An answer without JSON is told by its status alone.
  }
  if (response.ok) return asRecord(body);
  throw toApiError(response.status, body);
}

export function toApiError(status: number, body: unknown): ApiError {
  const error = asRecord(asRecord(body).error);
  const fallback = status === 429 ? "rate_limited" : status >= 500 ? "unavailable" : "unknown";
  return new ApiError(text(error.code) || fallback, text(error.message) || `HTTP ${status}`);
}

export async function fetchConfig(): Promise<ServerConfig> {
  const body = await request("/api/v1/config");
  return { name: text(body.name) || "Ting", version: text(body.version) };
}

/** Whether the server takes calls now. Never throws. */
export async function isServerReady(): Promise<boolean> {
  try {
    const init = { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(TIMEOUT_MS) } as const;
    return (await fetch("/readyz", init)).ok;
  } catch {
    return false;
  }
}

/** Null when nobody has opened the room yet. */
export async function fetchRoom(room: string): Promise<RoomSummary | null> {
  try {
    const body = await request(`/api/v1/rooms/${encodeURIComponent(room)}`);
    return { numParticipants: typeof body.num_participants === "number" ? body.num_participants : 0 };
  } catch (error) {
    if (error instanceof ApiError && error.code === "room_not_found") return null;
    throw error;
  }
}

const tokenKey = (room: string) => `ting.token.${room}`;

/** The tab's last token for the room. */
export function keptToken(room: string): string | null {
  return readText("session", tokenKey(room));
}

/** With null the tab forgets who it was: the next token is for somebody new. */
export function keepToken(room: string, token: string | null): void {
  writeText("session", tokenKey(room), token);
}

/**
 * A token to enter `room` as `name`. The tab's last token for the room goes along, so that a reload replaces
 * the old participant instead of adding a second one.
 */
export async function fetchToken(room: string, name: string): Promise<Admission> {
  const previous = keptToken(room);
  const body = await request(`/api/v1/rooms/${encodeURIComponent(room)}/tokens`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(previous === null ? {} : { Authorization: `Bearer ${previous}` }),
    },
    body: JSON.stringify({ name }),
  });
  const admission = { token: text(body.token), url: text(body.url), identity: text(body.identity) };
  if (admission.token === "") throw new ApiError("unknown", "the server's answer holds no token");
  keepToken(room, admission.token);
  return admission;
}

/** The WebSocket address to join at: what the server says, or the page's own origin. */
export function signalUrl(url: string, page: { protocol: string; host: string }): string {
  const secure = page.protocol === "https:";
  if (url === "") return `${secure ? "wss" : "ws"}://${page.host}`;
  // A browser refuses ws: from an https page; behind a TLS proxy the server may not know its own scheme.
  return secure ? url.replace(/^ws:/i, "wss:") : url;
}
