import { describe, expect, it } from "vitest";
import type { KeptTimeline, KeptTimelines } from "../log/timelines";
import { fetchKept, together } from "./kept";

const kept = (seq: number): KeptTimeline => ({ seq, identity: "bob", name: "Bob", joined_at_ms: null, left_at_ms: seq, leave_reason: null, entries: [], line: null, subscriptions: [] });
const seqs = (found: readonly KeptTimeline[]) => found.map(({ seq }) => seq);

/** A room in which so many have left a call. */
function room(count: number) {
  const asked: [number | null, number | undefined][] = [];
  const pastCallTimelines = (before: number | null, limit?: number): Promise<KeptTimelines> => {
    asked.push([before, limit]);
    const first = Math.min(count, (before ?? count + 1) - 1);
    const last = Math.max(0, first - (limit ?? 50));
    const timelines = Array.from({ length: first - last }, (_, at) => kept(first - at));
    return Promise.resolve({ timelines, before: last > 0 ? last + 1 : null });
  };
  return { asked, pastCallTimelines };
}

describe("fetchKept", () => {
  it("has the call that was asked for, however many have left since, and goes on where the page ended", async () => {
    const api = room(80);
    const newest = await fetchKept(api, null, 7);
    expect(seqs(newest.timelines).slice(-2)).toEqual([31, 7]);
    expect(newest.before).toBe(31);
    const earlier = await fetchKept(api, newest.before, 7);
    expect(seqs(together(newest.timelines, earlier.timelines))).toEqual(Array.from({ length: 80 }, (_, at) => 80 - at));
    expect(api.asked).toEqual([[null, undefined], [8, 1], [31, undefined]]);
  });

  it("asks once where that is among the newest, and has no other instead of one that is gone", async () => {
    const api = room(20);
    expect((await fetchKept(api, null, 7)).timelines).toHaveLength(20);
    expect(api.asked).toHaveLength(1);
    expect((await fetchKept(room(0), null, 7)).timelines).toEqual([]);
    const gone = room(80);
    const without = { pastCallTimelines: (before: number | null, limit?: number) => gone.pastCallTimelines(before === 8 ? 7 : before, limit) };
    expect(seqs((await fetchKept(without, null, 7)).timelines)).not.toContain(6);
  });
});
