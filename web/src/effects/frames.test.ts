import { describe, expect, it } from "vitest";
import { FRAME, Frames } from "./frames";

describe("Frames", () => {
  it.each([128, 1, 480, 333])("gives pieces of %d back in order, one frame later, each through the process once", (size) => {
    let processed = 0;
    const frames = new Frames((frame) => {
      processed += 1;
      for (const [at, sample] of frame.entries()) frame[at] = -sample;
    });
    const heard: number[] = [];
    const total = size * Math.ceil((20 * FRAME) / size);
    for (let at = 0; at < total; at += size) {
      const output = new Float32Array(size);
      frames.push(Float32Array.from({ length: size }, (_, index) => at + index + 1), output);
      heard.push(...output);
    }
    expect(processed).toBe(Math.floor(total / FRAME));
    expect(heard.slice(0, FRAME).every((sample) => sample === 0)).toBe(true);
    expect(heard.slice(FRAME)).toEqual(Array.from({ length: total - FRAME }, (_, index) => -(index + 1)));
  });
});
