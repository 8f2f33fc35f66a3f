import { describe, expect, it } from "vitest";
import { type LineFigures, parseKept, parseTimelines, type TimelineEntry } from "../log/timelines";
import { serverLines } from "./serverView";

const LINE: LineFigures = { sent_bps: 210_400, estimate_bps: 250_000, sent_loss: 0.052, rtt_ms: 81.4, received_bps: 40_000, received_loss: 0 };
const NOTHING = { grade: null, line: null, of: null, source: null, cause: null, layer: null, height: null, from_height: null, limit_bps: null };

function entry(what: string, more: Partial<TimelineEntry>): TimelineEntry {
  return { at_ms: 3_723_000, what, ...NOTHING, ...more };
}

describe("serverLines", () => {
  it("says what the line took, what followed from it, and nobody's name", () => {
    const first = {
      left_at_ms: 3_724_000,
      leave_reason: "media_failure",
      line: null,
      entries: [
        entry("quality", { grade: "poor", line: LINE }),
        entry("lowered", { of: "ada", source: "camera", cause: "line", layer: 0, height: 180, limit_bps: 199_600 }),
        entry("paused", { of: "ada", cause: "wish" }),
        entry("away", {}),
        entry("back", {}),
      ],
    };
    const now = { left_at_ms: null, leave_reason: null, entries: [], line: { ...LINE, estimate_bps: null, rtt_ms: null } };
    expect(serverLines([first, now], (identity) => (identity === "ada" ? "person 1" : "somebody"))).toEqual([
      "server, 01:02:03: poor, to me 210 kbit/s, of 250 kbit/s that fit, 5.2 % lost, 81 ms round trip, from me 40 kbit/s, 0.0 % lost",
      "server, 01:02:03: camera of person 1 lowered to 180p by the line, room for 200 kbit/s of video",
      "server, 01:02:03: video of person 1 paused by the wish, no limit known",
      "server, 01:02:03: the signal connection was lost",
      "server, 01:02:03: the signal connection is back",
      "server, 01:02:04: the connection ended, media_failure",
      "server, now: to me 210 kbit/s, 5.2 % lost, from me 40 kbit/s, 0.0 % lost",
    ]);
  });

  it("reads what the server sends, and takes nothing for granted", () => {
    expect(parseTimelines(undefined)).toEqual({ timelines: [], missing: [] });
    const sent = { identity: "me", name: "Me", line: LINE, entries: [{ at_ms: 5, what: "raised", of: "ada", layer: 2, cause: "wish" }] };
    const nothing = { joined_at_ms: null, left_at_ms: null, leave_reason: null, subscriptions: [] };
    const raised = { ...entry("raised", { of: "ada", layer: 2, cause: "wish" }), at_ms: 5 };
    expect(parseTimelines({ timelines: [sent], missing: [{ member_id: "bob", name: "Bob" }, 7] })).toEqual({
      timelines: [{ ...sent, ...nothing, entries: [raised] }],
      missing: [{ member: "bob", name: "Bob" }, { member: "", name: "" }],
    });
    expect(parseTimelines({ timelines: [7, { entries: [null, { line: "no" }], subscriptions: [{}] }] }).timelines).toHaveLength(2);
  });

  it("reads what is kept, where figures stand beside the rest", () => {
    const kept = { seq: 9, member_id: "me", name: "Me", joined_at_ms: 1, left_at_ms: 7, leave_reason: null, entries: [{ at_ms: 5, what: "line", ...LINE }] };
    const { timelines, before } = parseKept({ timelines: [kept], before: 9 });
    expect(before).toBe(9);
    expect(timelines.map(({ identity, seq, entries }) => [identity, seq, entries[0]?.line])).toEqual([["me", 9, LINE]]);
    expect(parseKept(null)).toEqual({ timelines: [], before: null });
  });

  it("has nothing to say of a call without figures", () => {
    expect(serverLines([], () => "")).toEqual([]);
  });
});
