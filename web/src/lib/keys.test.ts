import { describe, expect, it } from "vitest";
import { invitationLink, keepKey, keptKey, newClientId, newKey, recoveryLink, secretOfHash } from "./keys";

describe("keys", () => {
  it("are 256 random bits in base64url, each another one", () => {
    const made = Array.from({ length: 200 }, newKey);
    for (const key of made) expect(key).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(new Set(made).size).toBe(made.length);
    expect(newClientId()).toMatch(/^[A-Za-z0-9_-]{22}$/);
  });

  it("last as long as the page where nothing can be stored", () => {
    keepKey("den", "a key");
    expect(keptKey("den")).toBe("a key");
    expect(keptKey("other")).toBeNull();
  });
});

describe("links with a secret", () => {
  it("come back as what was put into them", () => {
    const key = newKey();
    const hash = (link: string) => new URL(link).hash;
    expect(secretOfHash(hash(recoveryLink("https://a.example", "/r/den", key)))).toEqual({ kind: "owner", key });
    expect(secretOfHash(hash(invitationLink("https://a.example", "/r/den", key)))).toEqual({ kind: "invitation", secret: key });
  });

  it.each(["", "#", "#owner=", "#owner=short", "#owner=" + "a".repeat(200), "#invitation=a b", "#top", "#owner=<script>"])(
    "give nothing from %j",
    (hash) => {
      expect(secretOfHash(hash)).toBeNull();
    },
  );
});
