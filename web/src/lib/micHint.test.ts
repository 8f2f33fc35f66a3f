import { describe, expect, it } from "vitest";
import { decibels } from "./level";
import { type MicHint, MicWatch } from "./micHint";

const SPEECH = -25;
const NOISE = -65;
const NOTHING = -120;

/** Feeds one level every 50 ms and gives what was said last. */
function feed(watch: MicWatch, db: number, muted: boolean, fromMs: number, forMs: number): MicHint {
  let hint: MicHint = null;
  for (let atMs = fromMs; atMs <= fromMs + forMs; atMs += 50) hint = watch.feed(db, muted, atMs);
  return hint;
}

describe("talking while muted", () => {
  it("is said after a word, and until a while after the last one", () => {
    const watch = new MicWatch();
    expect(feed(watch, NOISE, true, 0, 1000)).toBeNull();
    expect(feed(watch, SPEECH, true, 1050, 500)).toBe("talking");
    expect(feed(watch, NOISE, true, 1600, 3000)).toBe("talking");
    expect(feed(watch, NOISE, true, 4650, 6000)).toBeNull();
  });

  it("is not a knock", () => {
    const watch = new MicWatch();
    feed(watch, NOISE, true, 0, 1000);
    expect(feed(watch, SPEECH, true, 1050, 100)).toBeNull();
  });

  it("ends at once when the microphone is switched on", () => {
    const watch = new MicWatch();
    feed(watch, SPEECH, true, 0, 1000);
    expect(watch.feed(SPEECH, false, 1050)).toBeNull();
    expect(watch.feed(NOISE, true, 1100)).toBeNull();
  });
});

describe("a microphone that gives nothing", () => {
  it("is said after some seconds", () => {
    const watch = new MicWatch();
    expect(feed(watch, NOTHING, false, 0, 7900)).toBeNull();
    expect(feed(watch, NOTHING, false, 7950, 100)).toBe("silent");
    expect(feed(watch, NOISE, false, 8100, 0)).toBeNull();
  });

  it("is none that gave sound once, nor one that is muted", () => {
    const heard = new MicWatch();
    feed(heard, NOISE, false, 0, 100);
    expect(feed(heard, NOTHING, false, 150, 20_000)).toBeNull();
    expect(feed(new MicWatch(), NOTHING, true, 0, 20_000)).toBeNull();
  });

  it("is measured as full scale has it", () => {
    expect(decibels(new Float32Array(100))).toBeLessThan(-85);
    expect(decibels(new Float32Array(100).fill(1))).toBeCloseTo(0);
    expect(decibels(new Float32Array(100).fill(0.1))).toBeCloseTo(-20);
  });
});
