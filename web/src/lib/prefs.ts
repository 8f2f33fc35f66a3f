/** What a person chose on this device, kept in localStorage. */

import { DEFAULT_KEYS, type Keys, parseKeys } from "./shortcuts";
import { readJson, writeJson } from "./storage";

export const LAYOUTS = ["auto", "grid", "sidebar", "speaker"] as const;
/** How the pictures are laid out; auto is the grid, and beside a shared screen the sidebar. */
export type ChosenLayout = (typeof LAYOUTS)[number];
/** In the sidebar one is large and the others stand beside it; with the speaker there is nobody beside. */
export type Layout = Exclude<ChosenLayout, "auto">;

export const OWN_VIEWS = ["tile", "float", "hidden"] as const;
/** One's own picture: a tile as everybody's, small in a corner, or nowhere. */
export type OwnView = (typeof OWN_VIEWS)[number];

export const NOISES = ["off", "browser", "strong"] as const;
/** What is done against noise around the microphone: nothing, what the browser can, or RNNoise. */
export type Noise = (typeof NOISES)[number];

export const BACKGROUNDS = ["none", "blur", "hills", "study", "calm", "own"] as const;
/** What is behind a person in the camera's picture: what is there, the same blurred, or a picture. */
export type Background = (typeof BACKGROUNDS)[number];

export const CAPTION_SIZES = ["off", "small", "medium", "large"] as const;
/** Whether what is said is shown as text, where somebody sends it, and how large. */
export type CaptionSize = (typeof CAPTION_SIZES)[number];

export interface Prefs {
  name: string;
  cameraOn: boolean;
  micOn: boolean;
  cameraId: string;
  micId: string;
  speakerId: string;
  noise: Noise;
  background: Background;
  captions: CaptionSize;
  /** Whether what one says oneself goes to the others as text. */
  ownCaptions: boolean;
  stage: ChosenLayout;
  ownView: OwnView;
  /** Whether the cameras of others are left away, to save data; shared screens are not. */
  audioOnly: boolean;
  /** Whether single keys are shortcuts in the call. */
  shortcuts: boolean;
  /** Which ones. */
  keys: Keys;
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
  noise: "browser",
  background: "none",
  captions: "medium",
  ownCaptions: false,
  stage: "auto",
  ownView: "tile",
  audioOnly: false,
  shortcuts: true,
  keys: DEFAULT_KEYS,
};

/** `saveData`: whether the browser was told to, which holds until the person chooses here. */
export function parsePrefs(value: unknown, saveData = false): Prefs {
  const raw = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const text = (key: string) => (typeof raw[key] === "string" ? raw[key] : "");
  return {
    name: text("name").slice(0, 64),
    cameraOn: raw.cameraOn !== false,
    micOn: raw.micOn !== false,
    cameraId: text("cameraId"),
    micId: text("micId"),
    speakerId: text("speakerId"),
    noise: NOISES.find((noise) => noise === raw.noise) ?? DEFAULT_PREFS.noise,
    background: BACKGROUNDS.find((background) => background === raw.background) ?? DEFAULT_PREFS.background,
    captions: CAPTION_SIZES.find((size) => size === raw.captions) ?? DEFAULT_PREFS.captions,
    ownCaptions: raw.ownCaptions === true,
    stage: LAYOUTS.find((layout) => layout === raw.stage) ?? DEFAULT_PREFS.stage,
    ownView: OWN_VIEWS.find((view) => view === raw.ownView) ?? DEFAULT_PREFS.ownView,
    audioOnly: typeof raw.audioOnly === "boolean" ? raw.audioOnly : saveData,
    shortcuts: raw.shortcuts !== false,
    keys: parseKeys(raw.keys),
  };
}

export function loadPrefs(): Prefs {
  return parsePrefs(readJson("local", KEY), savesData());
}

export function savePrefs(change: Partial<Prefs>): void {
  writeJson("local", KEY, { ...loadPrefs(), ...change });
}

// Browsers other than Chromium's do not tell.
function savesData(): boolean {
  const { navigator } = globalThis as { navigator?: { connection?: { saveData?: boolean } } };
  return navigator?.connection?.saveData === true;
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
