/** The server's REST API, as far as the web app needs it. */

import { type Brand, toBrand } from "./brand";
import { keepKey, keptKey, newKey } from "./keys";
import { readText, writeText } from "./storage";

/** Where no server says another. */
export const OWN_NAME = "Ting";
const TIMEOUT_MS = 10_000;
/** The first room that lasts makes the server open its database, which a busy machine takes its time for. */
const MAKING_TIMEOUT_MS = 40_000;

export interface ServerConfig {
  name: string;
  version: string;
  /** Whether anybody may make a room that lasts; null while the server has not said it. */
  guestRooms: boolean | null;
  /** Whether people can have accounts here. */
  accounts: boolean;
  /** What a room that is made on the page is. */
  defaultKind: RoomKind;
  /** Origins of pages that may show this one in a frame and talk with it; null while the server has not said it. */
  frameAncestors: readonly string[] | null;
  brand: Brand;
}

/** Sealed: what is said and shown is encrypted between those who are in the room. */
export type RoomKind = "open" | "sealed";
const kindOf = (value: unknown): RoomKind => (value === "sealed" ? "sealed" : "open");

export const ENTRY_MODES = ["open", "password", "knock", "members"] as const;
export type EntryMode = (typeof ENTRY_MODES)[number];

export const ROLES = ["guest", "member", "moderator", "owner"] as const;
export type Role = (typeof ROLES)[number];

/** A room from outside. */
export interface RoomSummary {
  numParticipants: number;
  /** Whether it is there without a call. */
  lasts: boolean;
  title: string;
  entry: EntryMode;
  locked: boolean;
  kind: RoomKind;
}

/** Whoever stands at the door, and what they bring. */
export interface Visitor {
  name: string;
  password: string;
  invitation: string;
  /** A line for those who let in. */
  note: string;
  /** As a second participant of the same person, who stays. */
  apart: boolean;
}

export interface Admission {
  token: string;
  url: string;
  identity: string;
  lasts: boolean;
  role: Role;
  kind: RoomKind;
  /** Not empty: one waits at the door, and the token opens nothing but the answer. */
  knock: string;
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

export function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function roleOf(value: unknown): Role {
  return ROLES.find((role) => role === value) ?? "guest";
}

/** Whether `role` may do what takes `least`. */
export function reaches(role: Role, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}

export interface Ask {
  method?: string;
  token?: string | null;
  body?: unknown;
  timeoutMs?: number;
}

/** Throws `ApiError`. */
export async function request(path: string, { method = "GET", token, body, timeoutMs = TIMEOUT_MS }: Ask = {}) {
  const headers: Record<string, string> = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  let answer: unknown = null;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      // Whoever is signed in says so with a cookie of this server.
      credentials: "same-origin",
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch {
    throw new ApiError("unreachable", "no answer from the server");
  }
  try {
    answer = await response.json();
  } catch {
    // An answer without JSON is told by its status alone.
  }
  if (response.ok) return asRecord(answer);
  throw toApiError(response.status, answer);
}

export function toApiError(status: number, body: unknown): ApiError {
  const error = asRecord(asRecord(body).error);
  const fallback = status === 429 ? "rate_limited" : status >= 500 ? "unavailable" : "unknown";
  return new ApiError(text(error.code) || fallback, text(error.message) || `HTTP ${status}`);
}

export function roomUrl(room: string, rest = ""): string {
  return `/api/v1/rooms/${encodeURIComponent(room)}${rest}`;
}

export async function fetchConfig(): Promise<ServerConfig> {
  return toServerConfig(await request("/api/v1/config"));
}

export function toServerConfig(answer: unknown): ServerConfig {
  const body = asRecord(answer);
  return {
    name: text(body.name) || OWN_NAME,
    version: text(body.version),
    guestRooms: body.guest_rooms === true,
    accounts: body.accounts === true,
    defaultKind: kindOf(body.default_kind),
    frameAncestors: Array.isArray(body.frame_ancestors) ? body.frame_ancestors.map(text) : [],
    brand: toBrand(body.brand),
  };
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

/** Null when nobody has opened the room yet, and it does not last. */
export async function fetchRoom(room: string): Promise<RoomSummary | null> {
  try {
    const body = await request(roomUrl(room));
    return {
      numParticipants: typeof body.num_participants === "number" ? body.num_participants : 0,
      lasts: body.lasts === true,
      title: text(body.title),
      entry: ENTRY_MODES.find((mode) => mode === body.entry) ?? "open",
      locked: body.locked === true,
      kind: kindOf(body.kind),
    };
  } catch (error) {
    if (error instanceof ApiError && error.code === "room_not_found") return null;
    throw error;
  }
}

/** Makes a room that lasts; its name, which cannot be guessed. Whoever has `key` owns it, or, when it is empty, whoever is signed in. */
/** `gate` is of the link of a sealed room. */
export async function createLastingRoom(key: string, ownerName: string, kind: RoomKind, gate: string | null): Promise<string> {
  const body = await request("/api/v1/rooms", {
    method: "POST",
    body: { key, owner_name: ownerName, policy: { kind }, ...(gate === null ? {} : { gate }) },
    timeoutMs: MAKING_TIMEOUT_MS,
  });
  const name = text(body.name);
  if (name === "") throw new ApiError("unknown", "the server's answer holds no name");
  return name;
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

const admissionKey = (room: string) => `ting.admission.${room}`;

/** The tab's token from now on. In a room that lasts the browser keeps it too: whoever was let in, closes the browser and
 * comes back while the token is good need not knock again. Who somebody is there says the guest key and not the token. */
export function keepAdmission(room: string, { token, lasts }: Admission): void {
  keepToken(room, token);
  writeText("local", admissionKey(room), lasts ? token : null);
}

export function toAdmission(body: Record<string, unknown>): Admission {
  const admission = {
    token: text(body.token),
    url: text(body.url),
    identity: text(body.identity),
    lasts: body.lasts === true,
    role: roleOf(body.role),
    kind: kindOf(body.kind),
    knock: text(body.knock),
  };
  if (admission.token === "") throw new ApiError("unknown", "the server's answer holds no token");
  return admission;
}

/**
 * Asks to come into `room`. The tab's last token for it goes along, so that a reload replaces the old participant
 * instead of adding a second one; a room that lasts knows people by their guest key, which the first visit leaves here.
 */
export async function fetchToken(room: string, visitor: Visitor): Promise<Admission> {
  const { name, password, invitation, note, apart } = visitor;
  const key = keptKey(room) ?? newKey();
  const body = await request(roomUrl(room, "/tokens"), {
    method: "POST",
    token: keptToken(room) ?? readText("local", admissionKey(room)),
    // This page can encrypt; whoever cannot is not let into a sealed room.
    body: { name, key, password, invitation, note, apart, sealed: true },
  });
  const admission = toAdmission(body);
  if (admission.lasts) keepKey(room, key);
  if (admission.knock === "") keepAdmission(room, admission);
  return admission;
}

/** The WebSocket address to join at: what the server says, or the page's own origin. */
export function signalUrl(url: string, page: { protocol: string; host: string }): string {
  const secure = page.protocol === "https:";
  if (url === "") return `${secure ? "wss" : "ws"}://${page.host}`;
  // A browser refuses ws: from an https page; behind a TLS proxy the server may not know its own scheme.
  return secure ? url.replace(/^ws:/i, "wss:") : url;
}
