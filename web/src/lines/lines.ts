/** How a call went on somebody's line, as what a chart, a list and a table show of it. */

import type { CallTimeline, LineFigures } from "../log/timelines";

export interface Point {
  atMs: number;
  grade: string | null;
  line: LineFigures;
}

export const SWITCHES = ["lowered", "raised", "paused", "resumed"] as const;
export type SwitchKind = (typeof SWITCHES)[number];
export const CAUSES = ["line", "wish", "source"] as const;
export type Cause = (typeof CAUSES)[number];
export const COMINGS = ["came", "left", "broke", "away", "back"] as const;
export type Coming = (typeof COMINGS)[number];

/** A video is sent in another size, or not, or again. */
export interface SwitchMark {
  atMs: number;
  what: SwitchKind;
  cause: Cause;
  /** Whose video. */
  of: string;
  isScreen: boolean;
  height: number | null;
  fromHeight: number | null;
}

export type Mark = SwitchMark | { atMs: number; what: Coming };

export interface CallLine {
  /** What hangs together: between two of them the person was not there. */
  segments: Point[][];
  marks: Mark[];
  fromMs: number;
  toMs: number;
}

/** Why people leave who did not mean to. */
const BROKEN: ReadonlySet<string> = new Set(["media_failure", "connection_timeout", "signal_close", "state_mismatch"]);

export const isSwitch = (mark: Mark): mark is SwitchMark => SWITCHES.some((known) => known === mark.what);

/** All timelines of one person in one call. */
export function callLineOf(timelines: readonly CallTimeline[], nowMs: number): CallLine {
  const segments: Point[][] = [];
  const marks: Mark[] = [];
  for (const one of timelines) {
    const points = one.entries.flatMap(({ at_ms: atMs, grade, line }) => (line === null ? [] : [{ atMs, grade, line }]));
    if (one.line !== null && one.left_at_ms === null) points.push({ atMs: Math.max(nowMs, points.at(-1)?.atMs ?? 0), grade: points.at(-1)?.grade ?? null, line: one.line });
    if (points.length > 0) segments.push(points);
    marks.push(...marksOf(one));
  }
  marks.sort((one, other) => one.atMs - other.atMs);
  segments.sort((one, other) => (one[0]?.atMs ?? 0) - (other[0]?.atMs ?? 0));
  const times = [...segments.flat(), ...marks].map(({ atMs }) => atMs);
  return { segments, marks, fromMs: Math.min(...times, nowMs), toMs: times.length === 0 ? nowMs : Math.max(...times) };
}

function marksOf({ joined_at_ms, left_at_ms, leave_reason, entries }: CallTimeline): Mark[] {
  const marks: Mark[] = joined_at_ms === null ? [] : [{ atMs: joined_at_ms, what: "came" }];
  for (const { at_ms: atMs, what, of, source, cause, height, from_height: fromHeight } of entries) {
    const kind = SWITCHES.find((known) => known === what);
    if (kind !== undefined) {
      marks.push({ atMs, what: kind, cause: CAUSES.find((known) => known === cause) ?? "source", of: of ?? "", isScreen: source === "screen_share", height, fromHeight });
    } else if (what === "away" || what === "back") marks.push({ atMs, what });
  }
  if (left_at_ms !== null) marks.push({ atMs: left_at_ms, what: BROKEN.has(leave_reason ?? "") ? "broke" : "left" });
  return marks;
}

/** What a line is said to take beyond this many times of what is sent says nothing more, and would make the rest flat. */
const HEADROOM = 3;
const LEAST_TOP_BPS = 100_000;
const LEAST_TOP_LOSS = 0.1;

/** The upper ends of the scales of rates and of losses. */
export function scalesOf({ segments }: CallLine): { bps: number; loss: number } {
  const lines = segments.flat().map(({ line }) => line);
  const sent = Math.max(0, ...lines.map(({ sent_bps, received_bps }) => Math.max(sent_bps, received_bps)));
  const estimates = lines.map(({ estimate_bps }) => Math.min(estimate_bps ?? 0, HEADROOM * Math.max(sent, LEAST_TOP_BPS)));
  const loss = Math.max(LEAST_TOP_LOSS, ...lines.map(({ sent_loss, received_loss }) => Math.max(sent_loss, received_loss)));
  return { bps: roundUp(Math.max(LEAST_TOP_BPS, sent, ...estimates)), loss: Math.min(1, roundUp(loss)) };
}

/** The next of 1, 2, 3, 5 times a power of ten. */
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 3, 5].find((one) => one * power >= value * (1 - 1e-9)) ?? 10;
  return Number((step * power).toPrecision(1));
}

/** A path through what is known; where nothing is known it begins anew. */
export function pathOf(segments: readonly (readonly Point[])[], value: (line: LineFigures) => number | null, x: (atMs: number) => number, y: (value: number) => number): string {
  const parts: string[] = [];
  for (const points of segments) {
    let isDrawing = false;
    for (const { atMs, line } of points) {
      const known = value(line);
      if (known !== null) parts.push(`${isDrawing ? "L" : "M"}${x(atMs).toFixed(1)} ${y(known).toFixed(1)}`);
      isDrawing = known !== null;
    }
  }
  return parts.join("");
}

/** By how much signs move on, in the direction of `step`, so that they do not cover each other. */
export function apart(places: readonly number[], step: number, most: number): number[] {
  let taken = -Infinity;
  return places.map((place) => {
    const along = Math.sign(step) * place;
    const shift = Math.min(most, Math.max(0, taken + Math.abs(step) - along));
    taken = along + shift;
    return shift === 0 ? 0 : Math.sign(step) * shift;
  });
}
