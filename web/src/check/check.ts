/** Before a call: whether one would come to be from here, and if not, why. */

import type { DeviceProblem } from "../lib/devices";
import type { Figures } from "../lib/figures";
import type { JoinProblem } from "../lib/joinProblem";

export const STEPS = ["browser", "server", "camera", "mic", "call", "media"] as const;
export type Step = (typeof STEPS)[number];
export type Path = NonNullable<Figures["path"]>;

export type Outcome =
  | { state: "running" }
  /** What it would need failed before. */
  | { state: "skipped" }
  | { state: "good" }
  /** It works, but not as well as it could. */
  | { state: "slow"; path: Path }
  | { state: "bad" }
  | { state: "device"; problem: DeviceProblem }
  | { state: "join"; problem: JoinProblem };

export type Outcomes = Partial<Record<Step, Outcome>>;

/** What a check looks at; tests give their own. */
export interface Surroundings {
  /** Whether this browser has what a call needs, on a page that came safely. */
  canCall: () => boolean;
  isServerReady: () => Promise<boolean>;
  /** What a device has against being opened; null when it opens. */
  tryDevice: (step: "camera" | "mic") => Promise<DeviceProblem | null>;
  /** Into a call that nobody else is in, and out of it: how packets went, or why they did not. */
  tryCall: () => Promise<{ path: Path } | { problem: JoinProblem }>;
}

/** Tells of each step as it begins and as it ends. Never throws. */
export async function runCheck(around: Surroundings, tell: (step: Step, outcome: Outcome) => void): Promise<void> {
  const can = around.canCall();
  tell("browser", { state: can ? "good" : "bad" });
  tell("server", { state: "running" });
  const ready = await around.isServerReady();
  tell("server", { state: ready ? "good" : "bad" });
  for (const step of ["camera", "mic"] as const) {
    tell(step, { state: "running" });
    const problem = await around.tryDevice(step);
    tell(step, problem === null ? { state: "good" } : { state: "device", problem });
  }
  if (!can || !ready) {
    tell("call", { state: "skipped" });
    tell("media", { state: "skipped" });
    return;
  }
  tell("call", { state: "running" });
  const answer = await around.tryCall();
  if ("path" in answer) {
    tell("call", { state: "good" });
    tell("media", answer.path === "udp" ? { state: "good" } : { state: "slow", path: answer.path });
  } else if (answer.problem === "media_blocked") {
    tell("call", { state: "good" });
    tell("media", { state: "join", problem: answer.problem });
  } else {
    tell("call", { state: "join", problem: answer.problem });
    tell("media", { state: "skipped" });
  }
}

/** In a word, for who reads the report. */
export function wordOf(outcome: Outcome): string {
  if (outcome.state === "slow") return `slow (${outcome.path})`;
  return outcome.state === "device" || outcome.state === "join" ? `failed (${outcome.problem})` : outcome.state;
}

/** What one sends to whoever runs the server: plain English, whatever the page's language. */
export function reportOf(outcomes: Outcomes, origin: string, browser: string, at: Date): string {
  const lines = STEPS.flatMap((step) => {
    const outcome = outcomes[step];
    return outcome === undefined ? [] : [`${step}: ${wordOf(outcome)}`];
  });
  return [`Check of ${origin} at ${at.toISOString()}`, ...lines, `agent: ${browser}`].join("\n");
}
