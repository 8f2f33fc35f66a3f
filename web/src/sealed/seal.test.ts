import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Entry } from "../log/entries";
import { type Bytes, fromBase64url, random, toBase64url, utf8 } from "./bytes";
import { CODE_BYTES, digitsOf, PICTURES, picturesOf } from "./code";
import { bindingFor, bindingOf, openBody, pad, sealBody, sealedOf, unpad } from "./entrySeal";
import { newFileKey, openFile, paddedSize, SealBroken, SealedFile, storedSize } from "./fileSeal";
import { newHistorySecret, readEpochs, readSecrets, wrapEpoch } from "./history";
import { KeyRing, type RingStore } from "./keyRing";
import { linkKeys } from "./linkSecret";
import { LogSeal } from "./logSeal";
import { cleanRecoveryKey, newRecoveryKey, Recovery } from "./recovery";

function memory(): RingStore {
  const kept = new Map<string, unknown>();
  return {
    load: (room) => Promise.resolve(structuredClone(kept.get(room))),
    save: (room, ring) => Promise.resolve(void kept.set(room, structuredClone(ring))),
  };
}

const GROUP = "group";
const keyOf = (epoch: number, key: Bytes = random(32)) => ({ group: GROUP, epoch, key });

function entry(change: Partial<Entry>): Entry {
  return { seq: 1, verb: "message", from: "ada", name: "Ada", atMs: 1, body: null, clientId: "", target: null, to: "", expiresAtMs: null, fromMember: "", ...change };
}

describe("a sealed body", () => {
  const key = keyOf(3);
  const binding = bindingFor("message", "ada", null, "");

  it("comes back as it was, and its size tells only its power of two", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 900 }), async (said) => {
        const sealed = await sealBody(key, binding, "id", { text: said });
        expect(await openBody(key.key, sealed, binding)).toEqual({ id: "id", body: { text: said } });
        expect(Math.log2((fromBase64url(sealed.data)?.length ?? 0) - 12 - 16) % 1).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ["another sender", bindingFor("message", "bob", null, "")],
    ["another verb", bindingFor("poll", "ada", null, "")],
    ["another target", bindingFor("message", "ada", 7, "")],
    ["another recipient", bindingFor("message", "ada", null, "bob")],
  ])("does not open under %s", async (_, other) => {
    expect(await openBody(key.key, await sealBody(key, binding, "id", { text: "x" }), other)).toBeNull();
  });

  it("does not open with another key, as of another epoch, or with any bit changed", async () => {
    const sealed = await sealBody(key, binding, "id", { text: "x" });
    expect(await openBody(random(32), sealed, binding)).toBeNull();
    expect(await openBody(key.key, { ...sealed, epoch: 4 }, binding)).toBeNull();
    const bytes = fromBase64url(sealed.data) ?? new Uint8Array(0);
    for (const at of [0, 11, 12, 40, bytes.length - 1]) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await openBody(key.key, { ...sealed, data: toBase64url(changed) }, binding)).toBeNull();
    }
    expect(await openBody(key.key, { ...sealed, data: "not base64!" }, binding)).toBeNull();
  });

  it("is bound to its edit when a message was edited, and not to whom the server makes private what is said of it", () => {
    expect(bindingOf(entry({ seq: 9, body: { edited_at_ms: 5, sealed: {} } }))).toEqual(bindingFor("edit", "ada", 9, ""));
    expect(bindingOf(entry({ verb: "react", target: 4, to: "bob", body: { sealed: {} } }))).toEqual(bindingFor("react", "ada", 4, ""));
  });

  it("has its length inside, which cannot reach over its end", () => {
    for (const size of [0, 1, 252, 253, 5000]) expect(unpad(pad(random(size)))?.length).toBe(size);
    expect(unpad(new Uint8Array([255, 255, 255, 255, 1]))).toBeNull();
    expect(unpad(new Uint8Array(2))).toBeNull();
  });
});

describe("a sealed log", () => {
  function world() {
    const ring = new KeyRing("den", memory());
    const key = keyOf(1);
    const current: { key: ReturnType<typeof keyOf> | null } = { key };
    const log = new LogSeal(ring, () => current.key, () => "ada");
    const sealed = async (id: string, body: Record<string, unknown>) => log.seal({ verb: "message", body, clientId: id });
    return { ring, key, current, log, sealed };
  }

  it("shows what it cannot open as locked, and opens it when the key comes", async () => {
    const { ring, key, log, sealed } = world();
    const body = await sealed("a", { text: "secret" });
    const [locked] = await log.open([entry({ body })]);
    expect(sealedOf(locked?.body ?? null)).not.toBeNull();
    const opened = new Promise<readonly Entry[]>((resolve) => log.onReadable(resolve));
    ring.add([key]);
    expect((await opened)[0]?.body).toEqual({ text: "secret" });
  });

  it("believes a body only where it was seen first", async () => {
    const { ring, key, log, sealed } = world();
    ring.add([key]);
    const body = await sealed("a", { text: "pay 10" });
    const [first, again, second] = await log.open([entry({ seq: 1, body }), entry({ seq: 1, body }), entry({ seq: 2, body })]);
    expect(first?.body).toEqual({ text: "pay 10" });
    expect(again?.body).toEqual({ text: "pay 10" });
    expect(sealedOf(second?.body ?? null)).not.toBeNull();
  });

  it("keeps what the server says beside it, and seals nothing that has nothing to hide", async () => {
    const { ring, key, log } = world();
    ring.add([key]);
    const poll = await log.seal({ verb: "poll", body: { question: "?" }, clientId: "p" });
    const [closed] = await log.open([entry({ verb: "poll", body: { ...poll, closed: true } })]);
    expect(closed?.body).toEqual({ question: "?", closed: true });
    expect(await log.seal({ verb: "pin", body: { on: true }, target: 1, clientId: "q" })).toEqual({ on: true });
    const file = await log.seal({ verb: "file", body: { file_id: "f", key: "k", name: "n", stored_size: 9 }, clientId: "r" });
    expect(Object.keys(file ?? {}).sort()).toEqual(["file_id", "sealed", "size"]);
  });

  it("lets wait what is written outside the group", async () => {
    const { current, sealed } = world();
    current.key = null;
    expect(await sealed("a", { text: "later" })).toBeNull();
  });
});

describe("a key ring", () => {
  it("outlives the page and goes to another device", async () => {
    const store = memory();
    const ring = new KeyRing("den", store);
    const keys = [keyOf(0), keyOf(1)];
    ring.add(keys);
    ring.addSecrets([random(32)]);
    await ring.settled();
    const again = new KeyRing("den", store);
    await again.load();
    expect(again.find(GROUP, 1)).toEqual(keys[1]?.key);
    expect(again.historySecrets).toEqual(ring.historySecrets);
    const other = new KeyRing("den", memory());
    other.import(again.export());
    expect(other.size).toBe(2);
    expect(() => {
      other.import(utf8("no ring"));
    }).toThrow(SyntaxError);
  });

  it("never changes a key that it holds", () => {
    const ring = new KeyRing("den", memory());
    const first = random(32);
    ring.add([keyOf(1, first)]);
    ring.add([keyOf(1, random(32))]);
    expect(ring.find(GROUP, 1)).toEqual(first);
  });
});

describe("history", () => {
  it("is read by whoever has the link, and from a new secret on only by who was told it", async () => {
    const { history } = await linkKeys(toBase64url(random(32)));
    const member = new KeyRing("den", memory());
    const late = new KeyRing("den", memory());
    for (const ring of [member, late]) ring.addSecrets([history]);
    const [before, after] = [keyOf(1), keyOf(2)];
    const first = await wrapEpoch(member, before, random(32));
    member.addSecrets([newHistorySecret()]);
    const inside = random(32);
    const second = await wrapEpoch(member, after, inside);
    if (first === null || second === null) throw new Error("nothing was wrapped");
    expect(await readEpochs(late, [first, second])).toEqual([before]);
    expect(await readSecrets(second, random(32))).toBeNull();
    late.addSecrets((await readSecrets(second, inside)) ?? []);
    late.add([before]);
    expect(await readEpochs(late, [first, second])).toEqual([after]);
  });

  it("has nothing to give where nobody knows a secret", async () => {
    expect(await wrapEpoch(new KeyRing("den", memory()), keyOf(1), random(32))).toBeNull();
  });
});

describe("a sealed file", () => {
  const streamOf = (...parts: Bytes[]) => new Blob(parts).stream();
  const same = (one: Bytes, other: Bytes) => Buffer.compare(one, other) === 0;
  const contentOf = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());

  it.each([0, 1, 1024, 65_535, 65_536, 65_537, 200_000])("of %i bytes comes back, made in any parts", async (size) => {
    const content = new Uint8Array(size).map((_, at) => (at * 31) % 251);
    const key = newFileKey();
    const sealed = new SealedFile(new Blob([content]), key);
    expect(sealed.size).toBe(storedSize(size));
    const parts: Bytes[] = [];
    for (let at = 0; at < sealed.size; at += 50_001) parts.push(await sealed.slice(at, at + 50_001));
    const whole = await sealed.slice(0, sealed.size);
    expect(same(await contentOf(new Blob(parts)), whole)).toBe(true);
    const opened = await openFile(streamOf(...parts), { key, size }, "image/png");
    expect([same(await contentOf(opened), content), opened.type]).toEqual([true, "image/png"]);
  });

  it("is noticed when a part is changed, missing, moved or added, or the key is another", async () => {
    const [key, size] = [newFileKey(), 150_000];
    const sealed = new SealedFile(new Blob([random(65_536), random(65_536), random(size - 131_072)]), key);
    const whole = await sealed.slice(0, sealed.size);
    const piece = 65_536 + 16;
    const changed = whole.slice();
    changed[70_000] = (changed[70_000] ?? 0) ^ 1;
    const broken = [
      [changed],
      [whole.slice(0, -1)],
      [whole.slice(0, 2 * piece)],
      [whole.slice(piece, 2 * piece), whole.slice(0, piece), whole.slice(2 * piece)],
      [whole, random(40)],
    ];
    for (const parts of broken) await expect(openFile(streamOf(...parts), { key, size }, "")).rejects.toThrow(SealBroken);
    await expect(openFile(streamOf(whole), { key: newFileKey(), size }, "")).rejects.toThrow(SealBroken);
  });

  it("is at most 12 % larger than the file, and few sizes are told apart", () => {
    const sizes = new Set<number>();
    for (let size = 2048; size < 1_000_000; size += 777) {
      const padded = paddedSize(size);
      expect(padded).toBeGreaterThanOrEqual(size);
      expect(padded / size).toBeLessThan(1.12);
      sizes.add(padded);
    }
    expect(sizes.size).toBeLessThan(200);
  });
});

describe("the room's code", () => {
  it("has thirty digits and six pictures, the same from the same secret", () => {
    const secret = new Uint8Array(CODE_BYTES).map((_, at) => at * 7);
    expect(digitsOf(secret)).toHaveLength(6);
    expect(digitsOf(secret).join("")).toMatch(/^\d{30}$/);
    expect(new Set(PICTURES).size).toBe(64);
    expect(picturesOf(secret)).toEqual([210, 217, 224, 231, 238, 245].map((byte) => PICTURES[byte % 64]));
    expect(digitsOf(secret.slice())).toEqual(digitsOf(secret));
    expect(digitsOf(random(CODE_BYTES))).not.toEqual(digitsOf(secret));
  });
});

describe("a recovery key", () => {
  it("brings another device what this one can read, and a wrong one nothing", async () => {
    const server: { blob: Bytes | null } = { blob: null };
    const api = {
      backup: () => Promise.resolve(server.blob),
      putBackup: (blob: Bytes) => Promise.resolve(void (server.blob = blob)),
    };
    const [here, there] = [new KeyRing("den", memory()), new KeyRing("den", memory())];
    here.add([keyOf(1), keyOf(2)]);
    const other = new Recovery("den", there, api);
    expect(await other.use(newRecoveryKey())).toBe("none");
    const key = await new Recovery("den", here, api).make();
    expect(await other.use(newRecoveryKey())).toBe("wrong");
    expect(await other.use("AAAA")).toBe("wrong");
    expect(await other.use(` ${key.toLowerCase().replaceAll("-", " ")} `)).toBe("done");
    expect(there.find(GROUP, 2)).toEqual(here.find(GROUP, 2));
    expect(cleanRecoveryKey(key)).toMatch(/^[A-Z2-9]{32}$/);
  });
});
