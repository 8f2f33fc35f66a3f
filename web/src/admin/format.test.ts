import { expect, it } from "vitest";
import { bytesText, detailsText } from "./format";

it.each([
  [0, "0 byte"],
  [999, "999 byte"],
  [1000, "1 kB"],
  [1500, "1.5 kB"],
  [999_499, "999 kB"],
  [999_500, "1 MB"],
  [12_345_678, "12 MB"],
  [5e15, "5,000 TB"],
])("%i bytes are %s", (bytes, expected) => {
  expect(bytesText(bytes, "en")).toBe(expected);
});

it("writes what an act was about", () => {
  expect(detailsText({ is_admin: true, reason: "last_admin" })).toBe("is_admin true, reason last_admin");
  expect(detailsText({})).toBe("");
});
