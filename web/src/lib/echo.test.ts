import { expect, it } from "vitest";
import { verdictOf } from "./echo";

it.each([
  [-12, "good"],
  [-45, "quiet"],
  [-70, "nothing"],
  [-Infinity, "nothing"],
] as const)("%d dB at the loudest is %s", (db, verdict) => {
  expect(verdictOf(db)).toBe(verdict);
});
