import { describe, expect, it } from "vitest";
import { SlowWatch } from "./slowWatch";

/** Whether it told, and after how many milliseconds. */
function toldAfterMs(took: (index: number) => number, forMs: number): number | null {
  const watch = new SlowWatch();
  for (let index = 0, nowMs = 0; nowMs < forMs; index++) {
    const tookMs = took(index);
    nowMs += Math.max(tookMs, 33);
    if (watch.feed(tookMs, nowMs)) return nowMs;
  }
  return null;
}

describe("SlowWatch", () => {
  it("tells after five seconds of pictures that take too long", () => {
    expect(toldAfterMs(() => 90, 60_000)).toBeGreaterThan(5000);
    expect(toldAfterMs(() => 90, 60_000)).toBeLessThan(6000);
    expect(toldAfterMs(() => 1200, 60_000)).toBeLessThan(10_000);
  });

  it("says nothing of work that is fast enough, of the first pictures, or of one that stands out", () => {
    expect(toldAfterMs(() => 40, 60_000)).toBeNull();
    expect(toldAfterMs((index) => (index < 2 ? 8000 : 20), 60_000)).toBeNull();
    expect(toldAfterMs((index) => (index % 20 === 0 ? 900 : 20), 60_000)).toBeNull();
  });

  it("notices when it becomes slow later on", () => {
    expect(toldAfterMs((index) => (index < 600 ? 20 : 100), 60_000)).toBeGreaterThan(20_000);
    expect(toldAfterMs((index) => (index < 600 ? 20 : 100), 60_000)).toBeLessThan(28_000);
  });
});
