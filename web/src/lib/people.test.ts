import { describe, expect, it } from "vitest";
import { AVATAR_COLOURS, avatarColour, initials } from "./people";

describe("initials", () => {
  it.each([
    ["Ada Lovelace", "AL"],
    ["ada", "A"],
    ["  Jean  Luc  Picard ", "JP"],
    ["王小明", "小明"],
    ["李娜", "李娜"],
    ["", "?"],
    ["👩‍🚀 crew", "👩‍🚀C"],
  ])("%s is %s", (name, expected) => {
    expect(initials(name)).toBe(expected);
  });
});

describe("avatarColour", () => {
  it("is stable, in range, and spreads", () => {
    const colours = Array.from({ length: 200 }, (_, index) => avatarColour(`guest-${index}`));
    expect(avatarColour("guest-7")).toBe(colours[7]);
    expect(colours.every((colour) => colour >= 0 && colour < AVATAR_COLOURS)).toBe(true);
    expect(new Set(colours).size).toBe(AVATAR_COLOURS);
  });
});
