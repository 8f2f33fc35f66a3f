/** How a call goes and went, as the server sees it: `GET /api/v1/rooms/{room}/call-timelines` and `past-call-timelines`. */

import { asRecord, text } from "../lib/api";

export interface LineFigures {
  sent_bps: number;
  estimate_bps: number | null;
  sent_loss: number;
  rtt_ms: number | null;
  received_bps: number;
  received_loss: number;
}

export interface TimelineEntry {
  at_ms: number;
  what: string;
  grade: string | null;
  line: LineFigures | null;
  of: string | null;
  source: string | null;
  cause: string | null;
  layer: number | null;
  height: number | null;
  from_height: number | null;
  limit_bps: number | null;
}

/** What somebody gets of one track now. */
export interface SubscriptionFigures {
  track_id: string;
  of: string;
  source: string;
  paused: boolean;
  /** Of a video: what it is to get takes so much. */
  target_bps: number | null;
  sent_bps: number;
  height: number | null;
  loss: number;
  cause: string;
}

export interface CallTimeline {
  identity: string;
  name: string;
  joined_at_ms: number | null;
  left_at_ms: number | null;
  leave_reason: string | null;
  entries: TimelineEntry[];
  line: LineFigures | null;
  subscriptions: SubscriptionFigures[];
}

/** Of a call that is over: `identity` is the member. */
export interface KeptTimeline extends CallTimeline {
  seq: number;
}

/** Somebody on another node, which did not answer. */
export interface Missing {
  member: string;
  name: string;
}

export interface CallTimelines {
  timelines: CallTimeline[];
  missing: Missing[];
}

export interface KeptTimelines {
  timelines: KeptTimeline[];
  /** Ask with it for earlier ones. */
  before: number | null;
}

export function parseTimelines(value: unknown): CallTimelines {
  const raw = asRecord(value);
  return {
    timelines: records(raw.timelines).map(timelineOf),
    missing: records(raw.missing).map((one) => ({ member: text(one.member_id), name: text(one.name) })),
  };
}

export function parseKept(value: unknown): KeptTimelines {
  const raw = asRecord(value);
  const timelines = records(raw.timelines).map((one) => ({ ...timelineOf(one), identity: text(one.member_id), seq: numberOrNull(one.seq) ?? 0 }));
  return { timelines, before: numberOrNull(raw.before) };
}

function timelineOf(one: Record<string, unknown>): CallTimeline {
  return {
    identity: text(one.identity),
    name: text(one.name),
    joined_at_ms: numberOrNull(one.joined_at_ms),
    left_at_ms: numberOrNull(one.left_at_ms),
    leave_reason: textOrNull(one.leave_reason),
    entries: records(one.entries).map(entryOf),
    line: figuresOf(one.line),
    subscriptions: records(one.subscriptions).map(subscriptionOf),
  };
}

function entryOf(raw: Record<string, unknown>): TimelineEntry {
  return {
    at_ms: numberOrNull(raw.at_ms) ?? 0,
    what: text(raw.what),
    grade: textOrNull(raw.grade),
    // What is kept has the figures beside the rest.
    line: figuresOf(typeof raw.sent_bps === "number" ? raw : raw.line),
    of: textOrNull(raw.of),
    source: textOrNull(raw.source),
    cause: textOrNull(raw.cause),
    layer: numberOrNull(raw.layer),
    height: numberOrNull(raw.height),
    from_height: numberOrNull(raw.from_height),
    limit_bps: numberOrNull(raw.limit_bps),
  };
}

function subscriptionOf(raw: Record<string, unknown>): SubscriptionFigures {
  return {
    track_id: text(raw.track_id),
    of: text(raw.of),
    source: text(raw.source),
    paused: raw.paused === true,
    target_bps: numberOrNull(raw.target_bps),
    sent_bps: numberOrNull(raw.sent_bps) ?? 0,
    height: numberOrNull(raw.height),
    loss: numberOrNull(raw.loss) ?? 0,
    cause: text(raw.cause),
  };
}

function figuresOf(value: unknown): LineFigures | null {
  if (typeof value !== "object" || value === null) return null;
  const raw = asRecord(value);
  return {
    sent_bps: numberOrNull(raw.sent_bps) ?? 0,
    estimate_bps: numberOrNull(raw.estimate_bps),
    sent_loss: numberOrNull(raw.sent_loss) ?? 0,
    rtt_ms: numberOrNull(raw.rtt_ms),
    received_bps: numberOrNull(raw.received_bps) ?? 0,
    received_loss: numberOrNull(raw.received_loss) ?? 0,
  };
}

function records(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(asRecord) : [];
}

function numberOrNull(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
