/** What a person chose on this device, kept in localStorage. */

import { readJson, writeJson } from "./storage";

export type Layout = "grid" | "speaker";

export interface Prefs {
  name: string;
  cameraOn: boolean;
  micOn: boolean;
  cameraId: string;
  micId: string;
  speakerId: string;
  layout: Layout;
  /** Whether single keys are shortcuts in the call. */
  shortcuts: boolean;
}

const KEY = "ting.prefs";
const RECENT_KEY = "ting.recent";
const RECENT_LIMIT = 6;

export const DEFAULT_PREFS: Prefs = {
  name: "",
  cameraOn: true,
  micOn: true,
  cameraId: "",
  micId: "",
  speakerId: "",
  layout: "grid",
  shortcuts: true,
};

export function parsePrefs(value: unknown): Prefs {
  const raw = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const text = (key: string) => (typeof raw[key] === "string" ? raw[key] : "");
  return {
    name: text("name").slice(0, 64),
    cameraOn: raw.cameraOn !== false,
    micOn: raw.micOn !== false,
    cameraId: text("cameraId"),
    micId: text("micId"),
    speakerId: text("speakerId"),
    layout: raw.layout === "speaker" ? "speaker" : "grid",
    shortcuts: raw.shortcuts !== false,
  };
}

export function loadPrefs(): Prefs {
  return parsePrefs(readJson("local", KEY));
}

export function savePrefs(change: Partial<Prefs>): void {
  writeJson("local", KEY, { ...loadPrefs(), ...change });
}

export interface RecentRoom {
  room: string;
  joinedAtMs: number;
}

export function parseRecent(value: unknown): RecentRoom[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter((entry: unknown): entry is RecentRoom => {
      const raw = entry as Partial<RecentRoom> | null;
      return typeof raw?.room === "string" && raw.room !== "" && Number.isFinite(raw.joinedAtMs);
    })
    .slice(0, RECENT_LIMIT);
}

export function loadRecent(): RecentRoom[] {
  return parseRecent(readJson("local", RECENT_KEY));
}

export function withRecent(list: readonly RecentRoom[], room: string, nowMs: number): RecentRoom[] {
  return [{ room, joinedAtMs: nowMs }, ...list.filter((entry) => entry.room !== room)].slice(0, RECENT_LIMIT);
}

export function rememberRoom(room: string): void {
  writeJson("local", RECENT_KEY, withRecent(loadRecent(), room, Date.now()));
}

export function forgetRooms(): void {
  writeJson("local", RECENT_KEY, []);
}
