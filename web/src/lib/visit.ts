/** One tab's stay in a room: what every way back into the call (rejoin, reload, a restart of the server) restores. */

import type { PanelName } from "../call/Panel";
import type { JoinChoices } from "./call";
import { type CaptionSize, type ChosenLayout, LAYOUTS, loadPrefs, type OwnView, type Prefs, savePrefs } from "./prefs";
import type { Keys } from "./shortcuts";
import { readJson, writeJson } from "./storage";

export interface VisitState extends JoinChoices {
  stage: ChosenLayout;
  ownView: OwnView;
  captions: CaptionSize;
  ownCaptions: boolean;
  audioOnly: boolean;
  shortcuts: boolean;
  keys: Keys;
  panel: PanelName | null;
  /** The chat message that was not sent yet. */
  draft: string;
}

const PANELS: readonly (PanelName | null)[] = ["chat", "people", null];

const keyOf = (room: string) => `ting.visit.${room}`;

/** What was kept of an earlier stay, with the device's preferences for whatever is missing or damaged. */
export function parseVisit(value: unknown, prefs: Prefs): VisitState {
  const raw = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const text = (key: "name" | "cameraId" | "micId" | "speakerId") =>
    typeof raw[key] === "string" ? raw[key] : prefs[key];
  const flag = (key: "cameraOn" | "micOn") => (typeof raw[key] === "boolean" ? raw[key] : prefs[key]);
  return {
    name: text("name").slice(0, 64),
    cameraOn: flag("cameraOn"),
    micOn: flag("micOn"),
    cameraId: text("cameraId"),
    micId: text("micId"),
    speakerId: text("speakerId"),
    stage: LAYOUTS.find((layout) => layout === raw.stage) ?? prefs.stage,
    // Settings of the browser, not of the stay: always the newest.
    noise: prefs.noise,
    background: prefs.background,
    captions: prefs.captions,
    ownCaptions: prefs.ownCaptions,
    ownView: prefs.ownView,
    audioOnly: prefs.audioOnly,
    shortcuts: prefs.shortcuts,
    keys: prefs.keys,
    panel: PANELS.find((panel) => panel === raw.panel) ?? null,
    draft: typeof raw.draft === "string" ? raw.draft : "",
  };
}

/**
 * The state of one stay, kept in sessionStorage: other tabs do not change it, a reload does not lose it, and a
 * duplicated tab starts with a copy. Subscribers hear of each change; `state` is a new object then.
 */
export class Visit {
  state: VisitState;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly room: string) {
    this.state = parseVisit(readJson("session", keyOf(room)), loadPrefs());
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): VisitState => this.state;

  /** What the person chose: for this stay, and for the next visit to any room. */
  choose(change: Partial<Prefs>): void {
    savePrefs(change);
    this.note(change);
  }

  /** What happened without a choice for other visits: a host's mute, a device that failed, an open panel. */
  note(change: Partial<VisitState>): void {
    this.state = { ...this.state, ...change };
    writeJson("session", keyOf(this.room), this.state);
    for (const listener of this.listeners) listener();
  }
}
