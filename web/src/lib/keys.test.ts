import { describe, expect, it } from "vitest";
import { invitationLink, keepKey, keepLinkSecret, keptKey, newClientId, newKey, recoveryLink, roomLink, secretsOfHash } from "./keys";

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
    expect(secretsOfHash(hash(recoveryLink("https://a.example", "den", key)))).toEqual({ link: null, owner: key, invitation: null });
    expect(secretsOfHash(hash(invitationLink("https://a.example", "den", key)))).toEqual({ link: null, owner: null, invitation: key });
    expect(roomLink("https://a.example", "den")).toBe("https://a.example/r/den");
  });

  it("bring a sealed room's secret along", () => {
    const [link, key] = [newKey(), newKey()];
    keepLinkSecret("cellar", link);
    expect(roomLink("https://a.example", "cellar")).toBe(`https://a.example/r/cellar#s=${link}`);
    const { hash } = new URL(invitationLink("https://a.example", "cellar", key));
    expect(secretsOfHash(hash)).toEqual({ link, owner: null, invitation: key });
  });

  it.each(["", "#", "#owner=", "#owner=short", "#owner=" + "a".repeat(200), "#invitation=a b", "#top", "#owner=<script>"])(
    "give nothing from %j",
    (hash) => {
      expect(secretsOfHash(hash)).toEqual({ link: null, owner: null, invitation: null });
    },
  );
});
