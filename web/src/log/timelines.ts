/** How a call goes, as the server sees it: `GET /api/v1/rooms/{room}/call-timelines`. */

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
  layer: number | null;
  limit_bps: number | null;
}

export interface CallTimeline {
  identity: string;
  left_at_ms: number | null;
  leave_reason: string | null;
  entries: TimelineEntry[];
  line: LineFigures | null;
}

export function parseTimelines(value: unknown): CallTimeline[] {
  return records(value).map((one) => ({
    identity: text(one.identity),
    left_at_ms: numberOrNull(one.left_at_ms),
    leave_reason: textOrNull(one.leave_reason),
    entries: records(one.entries).map(entryOf),
    line: figuresOf(one.line),
  }));
}

function entryOf(raw: Record<string, unknown>): TimelineEntry {
  return {
    at_ms: numberOrNull(raw.at_ms) ?? 0,
    what: text(raw.what),
    grade: textOrNull(raw.grade),
    line: figuresOf(raw.line),
    of: textOrNull(raw.of),
    layer: numberOrNull(raw.layer),
    limit_bps: numberOrNull(raw.limit_bps),
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
