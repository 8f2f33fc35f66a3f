import { describe, expect, it } from "vitest";
import { signalUrl, toApiError } from "./api";

describe("signalUrl", () => {
  it.each([
    ["", "http:", "ws://ting.example:7880"],
    ["", "https:", "wss://ting.example:7880"],
    ["ws://other", "http:", "ws://other"],
    ["ws://other", "https:", "wss://other"],
    ["wss://other", "http:", "wss://other"],
  ])("%s on a page of %s is %s", (url, protocol, expected) => {
    expect(signalUrl(url, { protocol, host: "ting.example:7880" })).toBe(expected);
  });
});

describe("toApiError", () => {
  it("takes the server's code", () => {
    const error = toApiError(403, { error: { code: "guests_disabled", message: "no guests here" } });
    expect([error.code, error.message]).toEqual(["guests_disabled", "no guests here"]);
  });

  it.each([
    [429, "rate_limited"],
    [503, "unavailable"],
    [500, "unavailable"],
    [418, "unknown"],
  ])("status %i without a body is %s", (status, code) => {
    for (const body of [null, "text", [], { error: "x" }, { error: { code: 7 } }]) {
      expect(toApiError(status, body).code).toBe(code);
    }
  });
});
