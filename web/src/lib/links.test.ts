import { describe, expect, it } from "vitest";
import { splitLinks } from "./links";

const links = (text: string) => splitLinks(text).flatMap((part) => (part.kind === "link" ? [part.text] : []));

describe("splitLinks", () => {
  it.each([
    ["see https://a.example/x.", ["https://a.example/x"]],
    ["(https://a.example/b)", ["https://a.example/b"]],
    ["https://a.example/w_(x)", ["https://a.example/w_(x)"]],
    ["看 https://a.example/x。好", ["https://a.example/x"]],
    ["HTTP://A.EXAMPLE and https://b.example?q=1#h!", ["HTTP://A.EXAMPLE", "https://b.example?q=1#h"]],
    ["no link here", []],
    ["javascript:alert(1) data:text/html,x ftp://a.example", []],
    ["https://bank.example@evil.example/", []],
    ["https://", []],
  ])("%s", (text, expected) => {
    expect(links(text)).toEqual(expected);
  });

  it("loses no character", () => {
    for (const text of ["a https://x.example, b", "https://x.example", "", "<b>https://x.example</b>"]) {
      expect(splitLinks(text).map((part) => part.text).join("")).toBe(text);
    }
  });
});
