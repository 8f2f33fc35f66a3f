/** Styles name the start and the end of a line, not left and right: they hold for pages that run from right to left too. */

import { readdirSync, readFileSync } from "node:fs";
import postcss from "postcss";
import { describe, expect, it } from "vitest";

const FOLDER = new URL(".", import.meta.url);
const NAMED = /^(left|right|(margin|padding|border|scroll-margin|scroll-padding)-(left|right)(-.*)?|border-(top|bottom)-(left|right)-radius)$/;
const SIDED = ["text-align", "float", "clear"];
const SHORT = ["margin", "padding", "inset"];

/** Whether a declaration says something else on the left than on the right. */
function takesASide(prop: string, value: string): boolean {
  // Half of the width is the middle either way; the edges of a screen are where they are.
  if (value === "50%" || value.includes("safe-area")) return false;
  if (SIDED.includes(prop)) return /left|right/.test(value);
  const [, right, , left] = postcss.list.space(value);
  return NAMED.test(prop) || (SHORT.includes(prop) && left !== undefined && left !== right);
}

describe("a declaration that takes a side", () => {
  it.each([
    ["left", "10px", true],
    ["left", "50%", false],
    ["padding", "1px 2px 3px", false],
    ["padding", "1px 2px 3px 4px", true],
    ["text-align", "right", true],
    ["inset-inline-start", "10px", false],
  ])("%s: %s is one: %s", (prop, value, expected) => {
    expect(takesASide(prop, value)).toBe(expected);
  });
});

it("no style takes a side", () => {
  const found: string[] = [];
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".css"))) {
    postcss.parse(readFileSync(new URL(file, FOLDER), "utf8")).walkDecls(({ prop, value, source }) => {
      if (takesASide(prop, value)) found.push(`${file}:${source?.start?.line ?? 0} ${prop}: ${value}`);
    });
  }
  expect(found).toEqual([]);
});
