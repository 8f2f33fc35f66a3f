import { describe, expect, it } from "vitest";
import { type LineFigures, parseTimelines, type TimelineEntry } from "../log/timelines";
import { serverLines } from "./serverView";

const LINE: LineFigures = { sent_bps: 210_400, estimate_bps: 250_000, sent_loss: 0.052, rtt_ms: 81.4, received_bps: 40_000, received_loss: 0 };
const NOTHING = { grade: null, line: null, of: null, layer: null, limit_bps: null };

function entry(what: string, more: Partial<TimelineEntry>): TimelineEntry {
  return { at_ms: 3_723_000, what, ...NOTHING, ...more };
}

describe("serverLines", () => {
  it("says what the line took, what followed from it, and nobody's name", () => {
    const first = {
      identity: "me",
      left_at_ms: 3_724_000,
      leave_reason: "media_failure",
      line: null,
      entries: [
        entry("quality", { grade: "poor", line: LINE }),
        entry("lowered", { of: "ada", layer: 0, limit_bps: 199_600 }),
        entry("paused", { of: "ada" }),
      ],
    };
    const now = { identity: "me", left_at_ms: null, leave_reason: null, entries: [], line: { ...LINE, estimate_bps: null, rtt_ms: null } };
    expect(serverLines([first, now], (identity) => (identity === "ada" ? "person 1" : "somebody"))).toEqual([
      "server, 01:02:03: poor, to me 210 kbit/s, of 250 kbit/s that fit, 5.2 % lost, 81 ms round trip, from me 40 kbit/s, 0.0 % lost",
      "server, 01:02:03: video of person 1 lowered to layer 0, room for 200 kbit/s of video",
      "server, 01:02:03: video of person 1 paused, no limit known",
      "server, 01:02:04: the connection ended, media_failure",
      "server, now: to me 210 kbit/s, 5.2 % lost, from me 40 kbit/s, 0.0 % lost",
    ]);
  });

  it("reads what the server sends, and takes nothing for granted", () => {
    expect(parseTimelines(undefined)).toEqual([]);
    expect(parseTimelines([{ identity: "me", line: LINE, entries: [{ at_ms: 5, what: "raised", of: "ada", layer: 2 }] }])).toEqual([
      { identity: "me", left_at_ms: null, leave_reason: null, line: LINE, entries: [{ ...entry("raised", { of: "ada", layer: 2 }), at_ms: 5 }] },
    ]);
    expect(parseTimelines([7, { entries: [null, { line: "no" }] }])).toHaveLength(2);
  });

  it("has nothing to say of a call without figures", () => {
    expect(serverLines([], () => "")).toEqual([]);
  });
});
