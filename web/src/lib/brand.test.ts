import { describe, expect, it } from "vitest";
import { toServerConfig } from "./api";
import { brandRules, toBrand } from "./brand";
import { readPageConfig } from "./pageConfig";

const LIGHT = { accent: "#7a1f5c", accent_hover: "#64194b", accent_soft: "#ece0e8", on_accent: "#ffffff" };
const DARK = { accent: "#c88fb5", accent_hover: "#d2a3c2", accent_soft: "#302a30", on_accent: "#181116" };

/** A page of which only the one element is asked for. */
const pageWith = (content: string | null): ParentNode =>
  ({ querySelector: () => (content === null ? null : { content }) }) as unknown as ParentNode;

describe("the brand", () => {
  it("is empty when the server says nothing", () => {
    const brand = toBrand(undefined);
    expect(Object.values(brand).filter((value) => value !== "" && value !== null)).toEqual([]);
    expect(brandRules(brand)).toBe("");
  });

  it("takes no script and no other scheme for a link", () => {
    const brand = toBrand({ imprint: "javascript:alert(1)", privacy: "data:text/html,x", terms: "https://a.example/t" });
    expect([brand.imprint, brand.privacy, brand.terms]).toEqual(["", "", "https://a.example/t"]);
  });

  it("colours light pages, dark pages and the call", () => {
    const rules = brandRules(toBrand({ light: LIGHT, dark: DARK })).split("\n");
    expect(rules.map((rule) => [rule.split("{")[0]?.trim(), /--accent: (#\w+)/.exec(rule)?.[1]])).toEqual([
      [":root", LIGHT.accent],
      ["@media (prefers-color-scheme: dark)", DARK.accent],
      ['[data-theme="dark"]', DARK.accent],
    ]);
  });

  it("leaves out what is no colour", () => {
    expect(brandRules(toBrand({ light: { ...LIGHT, accent: "red; } body { display: none" }, dark: DARK }))).toBe("");
  });
});

describe("the page's own configuration", () => {
  it("is what the server wrote into the head", () => {
    const body = { name: "Halle", version: "1.2", guest_rooms: true, accounts: true, default_kind: "sealed", brand: { title: "Moin" } };
    const config = readPageConfig(pageWith(JSON.stringify(body)));
    expect(config).toEqual(toServerConfig(body));
    expect([config?.name, config?.guestRooms, config?.defaultKind, config?.brand.title]).toEqual(["Halle", true, "sealed", "Moin"]);
  });

  it.each([null, "", "{"])("is not there: %j", (content) => {
    expect(readPageConfig(pageWith(content))).toBeNull();
  });
});
