/** What the server saw of one's own line, as lines of a call report: plain English, and nobody's name. */

import type { CallTimeline, LineFigures, TimelineEntry } from "../log/timelines";

/** `whoIs` names the owner of a video without saying who they are. */
export function serverLines(timelines: readonly Pick<CallTimeline, "left_at_ms" | "leave_reason" | "entries" | "line">[], whoIs: (identity: string) => string): string[] {
  return timelines.flatMap(({ left_at_ms, leave_reason, entries, line }) => [
    ...entries.map((entry) => `server, ${timeOf(entry.at_ms)}: ${entryOf(entry, whoIs)}`),
    ...(left_at_ms === null ? [] : [`server, ${timeOf(left_at_ms)}: the connection ended, ${leave_reason ?? "no reason"}`]),
    ...(line === null ? [] : [`server, now: ${lineOf(line)}`]),
  ]);
}

function entryOf({ what, grade, line, of, source, cause, height, limit_bps }: TimelineEntry, whoIs: (identity: string) => string): string {
  if (what === "quality" || what === "line") return [grade ?? "unknown", line && lineOf(line)].filter(Boolean).join(", ");
  if (of === null) return what === "away" ? "the signal connection was lost" : "the signal connection is back";
  const room = limit_bps === null ? "no limit known" : `room for ${kbit(limit_bps)} of video`;
  return `${source ?? "video"} of ${whoIs(of)} ${what}${height === null ? "" : ` to ${height}p`} by the ${cause ?? "server"}, ${room}`;
}

function lineOf({ sent_bps, estimate_bps, sent_loss, rtt_ms, received_bps, received_loss }: LineFigures): string {
  const parts = [
    `to me ${kbit(sent_bps)}`,
    estimate_bps === null ? null : `of ${kbit(estimate_bps)} that fit`,
    `${percent(sent_loss)} lost`,
    rtt_ms === null ? null : `${Math.round(rtt_ms)} ms round trip`,
    `from me ${kbit(received_bps)}`,
    `${percent(received_loss)} lost`,
  ];
  return parts.filter((part) => part !== null).join(", ");
}

function timeOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 19);
}

function kbit(bps: number): string {
  return `${Math.round(bps / 1000)} kbit/s`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
