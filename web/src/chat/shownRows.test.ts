import { describe, expect, it } from "vitest";
import { type First, further, MAX_SHOWN, nearer, rangeOf, STEP } from "./shownRows";

const keysOf = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1}`);

describe("rows in the page", () => {
  it("are all of a short history, and the newest of a long one", () => {
    expect(rangeOf(keysOf(3), null)).toEqual({ start: 0, end: 3 });
    expect(rangeOf([], "")).toEqual({ start: 0, end: 0 });
    expect(rangeOf(keysOf(1000), null)).toEqual({ start: 1000 - MAX_SHOWN, end: 1000 });
  });

  it("pass every one on the way up and down, with most of what was there before, and never more than fit", () => {
    const keys = keysOf(1003);
    const seen = new Set<string>();
    let first: First = null;
    let before = rangeOf(keys, first);
    const show = () => {
      const range = rangeOf(keys, first);
      for (const key of keys.slice(range.start, range.end)) seen.add(key);
      expect(range.end - range.start).toBe(MAX_SHOWN);
      expect(Math.abs(range.start - before.start)).toBeLessThanOrEqual(STEP);
      before = range;
      return range;
    };
    while (show().start > 0) first = further(keys, before);
    expect(seen.size).toBe(keys.length);
    expect(further(keys, before)).toBeNull();
    while (show().end < keys.length) first = nearer(keys, before);
    expect(first).toBeNull();
  });

  it("stay where they are while others come at either end", () => {
    const [old, live, older] = [keysOf(500), keysOf(520), ["a", "b", ...keysOf(500)]];
    const { start, end } = rangeOf(older, "101");
    expect(older.slice(start, end)).toEqual(old.slice(100, 100 + MAX_SHOWN));
    expect(rangeOf(live, "101")).toEqual(rangeOf(old, "101"));
  });

  it("begin with what comes above the very first", () => {
    expect(rangeOf(["a", "b", ...keysOf(500)], "").start).toBe(0);
  });

  it("are the newest where the first one is gone", () => {
    expect(rangeOf(keysOf(500), "x")).toEqual(rangeOf(keysOf(500), null));
  });
});
