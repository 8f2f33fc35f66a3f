import { describe, expect, it } from "vitest";
import type { CallTimeline, LineFigures, TimelineEntry } from "../log/timelines";
import { apart, callLineOf, pathOf, roundUp, scalesOf } from "./lines";

const LINE: LineFigures = { sent_bps: 200_000, estimate_bps: null, sent_loss: 0, rtt_ms: null, received_bps: 0, received_loss: 0 };
const ENTRY: TimelineEntry = { at_ms: 0, what: "line", grade: null, line: null, of: null, source: null, cause: null, layer: null, height: null, from_height: null, limit_bps: null };

function timeline(more: Partial<CallTimeline>): CallTimeline {
  return { identity: "bob", name: "Bob", joined_at_ms: null, left_at_ms: null, leave_reason: null, entries: [], line: null, subscriptions: [], ...more };
}

const at = (at_ms: number, line: Partial<LineFigures> = {}): TimelineEntry => ({ ...ENTRY, at_ms, grade: "good", line: { ...LINE, ...line } });

describe("callLineOf", () => {
  it("puts what one person's timelines say into one line, with a gap where they were gone", () => {
    const first = timeline({ joined_at_ms: 100, left_at_ms: 400, leave_reason: "media_failure", entries: [at(200), at(300)], line: LINE });
    const second = timeline({ joined_at_ms: 500, entries: [at(600), { ...ENTRY, what: "away", at_ms: 650 }, { ...ENTRY, what: "back", at_ms: 660 }], line: LINE });
    const line = callLineOf([second, first], 700);
    expect(line.segments.map((points) => points.map(({ atMs }) => atMs))).toEqual([[200, 300], [600, 700]]);
    expect(line.marks.map(({ atMs, what }) => [atMs, what])).toEqual([
      [100, "came"], [400, "broke"], [500, "came"], [650, "away"], [660, "back"],
    ]);
    expect([line.fromMs, line.toMs]).toEqual([100, 700]);
  });

  it("says of a switch whose picture it was, its sizes and what decided it", () => {
    const lowered: TimelineEntry = { ...ENTRY, what: "lowered", of: "ada", source: "screen_share", cause: "line", height: 360, from_height: 720 };
    const { marks } = callLineOf([timeline({ left_at_ms: 9, leave_reason: "client_initiated", entries: [lowered, { ...ENTRY, what: "new thing" }, { ...lowered, cause: "??" }] })], 9);
    expect(marks).toEqual([
      { atMs: 0, what: "lowered", cause: "line", of: "ada", isScreen: true, height: 360, fromHeight: 720 },
      { atMs: 0, what: "lowered", cause: "source", of: "ada", isScreen: true, height: 360, fromHeight: 720 },
      { atMs: 9, what: "left" },
    ]);
  });

  it("has nothing of nothing", () => {
    expect(callLineOf([], 7)).toEqual({ segments: [], marks: [], fromMs: 7, toMs: 7 });
  });
});

describe("scalesOf", () => {
  it("leaves room for what is sent, and not for a line that takes far more than that", () => {
    const scales = (...entries: TimelineEntry[]) => scalesOf(callLineOf([timeline({ entries })], 0));
    expect(scales()).toEqual({ bps: 100_000, loss: 0.1 });
    expect(scales(at(0, { sent_bps: 480_000, estimate_bps: 900_000, sent_loss: 0.12 }))).toEqual({ bps: 1_000_000, loss: 0.2 });
    expect(scales(at(0, { sent_bps: 400_000, estimate_bps: 50_000_000, received_loss: 0.9 }))).toEqual({ bps: 2_000_000, loss: 1 });
  });

  it("ends at round numbers", () => {
    expect([0.1, 0.11, 0.3, 1, 21, 301_000, 999_999].map(roundUp)).toEqual([0.1, 0.2, 0.3, 1, 30, 500_000, 1_000_000]);
  });
});

describe("pathOf", () => {
  it("breaks where nothing is known", () => {
    const segments = callLineOf([timeline({ left_at_ms: 9, entries: [at(0, { estimate_bps: 1 }), at(1), at(2, { estimate_bps: 3 }), at(3, { estimate_bps: 4 })] })], 9).segments;
    expect(pathOf(segments, ({ estimate_bps }) => estimate_bps, (atMs) => atMs, (value) => value)).toBe("M0.0 1.0M2.0 3.0L3.0 4.0");
  });
});

describe("apart", () => {
  it("moves signs on that would cover each other, and not far", () => {
    expect(apart([0, 0, 5, 100], 10, 20)).toEqual([0, 10, 15, 0]);
    expect(apart([0, 0, 0, 0], 10, 20)).toEqual([0, 10, 20, 20]);
    expect(apart([100, 100, 50], -10, 20)).toEqual([0, -10, 0]);
  });
});
