import { KeyProviderEvent } from "livekit-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Epochs, OLD_KEYS_MS, SWITCH_MS } from "./epochs";
import { importKey, KeyRing } from "./keyRing";
import { Watch } from "./watch";

const bytes = (value: number) => new Uint8Array(32).fill(value);
const keyOf = (value: number) => () => Promise.resolve(bytes(value));

/** Everything that the ring was told, as "what identity index". */
class Told {
  readonly log: string[] = [];
  readonly put = (identity: string, index: number) => this.log.push(`put ${identity} ${index}`);
  readonly use = (identity: string, index: number) => this.log.push(`use ${identity} ${index}`);
  readonly drop = (identity: string, index: number) => {
    this.log.push(`drop ${identity} ${index}`);
    return Promise.resolve();
  };

  take(): string[] {
    return this.log.splice(0).sort();
  }
}

describe("epochs", () => {
  let told: Told;
  let own: boolean[];
  let begun: number;
  let epochs: Epochs;

  beforeEach(() => {
    vi.useFakeTimers();
    told = new Told();
    own = [];
    begun = 0;
    epochs = new Epochs(told, (_, hasKey) => own.push(hasKey), () => begun++);
  });

  afterEach(() => {
    epochs.dispose();
    vi.useRealTimers();
  });

  it("speaks with the first key at once, and with a later one when the others have it", async () => {
    await epochs.set(17, keyOf(1), ["me", "ada"], "me");
    expect(told.take()).toEqual(["put ada 1", "use me 1"]);
    await epochs.set(18, keyOf(2), ["me", "ada"], "me");
    expect(told.take()).toEqual(["put ada 2"]);
    await vi.advanceTimersByTimeAsync(SWITCH_MS - 1);
    expect(told.take()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(told.take()).toEqual(["use me 2"]);
  });

  it("lets pictures begin anew for those who came, once, and when it speaks so that they understand", async () => {
    await epochs.set(0, keyOf(0), ["ada"], "me");
    await epochs.set(1, keyOf(1), ["ada", "bob"], "me", true);
    await vi.advanceTimersByTimeAsync(SWITCH_MS - 1);
    expect(begun).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(told.log.at(-1)).toBe("use me 1");
    expect(begun).toBe(1);
    await epochs.renew();
    await epochs.set(2, keyOf(2), ["ada"], "me");
    await vi.advanceTimersByTimeAsync(SWITCH_MS);
    expect(begun).toBe(1);
  });

  it("forgets what is older ten seconds after the switch, also of who has left", async () => {
    await epochs.set(0, keyOf(1), ["me", "ada", "bob"], "me");
    await epochs.set(1, keyOf(2), ["me", "ada"], "me");
    await vi.advanceTimersByTimeAsync(SWITCH_MS);
    told.take();
    await vi.advanceTimersByTimeAsync(OLD_KEYS_MS - 1);
    expect(told.take()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(told.take()).toEqual(["drop ada 0", "drop bob 0", "drop me 0"]);
  });

  it("switches in order where epochs follow each other faster than it switches", async () => {
    for (let epoch = 0; epoch < 8; epoch++) {
      await epochs.set(epoch, keyOf(epoch), ["ada"], "me");
      await vi.advanceTimersByTimeAsync(200);
    }
    await vi.advanceTimersByTimeAsync(SWITCH_MS);
    const used = told.log.filter((line) => line.startsWith("use"));
    expect(used).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((index) => `use me ${index}`));
  });

  it("does not go back to an older key that comes late", async () => {
    await epochs.set(0, keyOf(0), [], "me");
    let late: (key: Uint8Array) => void = () => undefined;
    await epochs.set(1, () => new Promise((resolve) => (late = resolve)), [], "me");
    await epochs.set(2, keyOf(2), [], "me");
    await vi.advanceTimersByTimeAsync(SWITCH_MS);
    late(bytes(1));
    await vi.advanceTimersByTimeAsync(0);
    expect(told.take()).toEqual(["use me 0", "use me 2"]);
  });

  it("drops whose key lies where a newer epoch's keys went", async () => {
    await epochs.set(3, keyOf(1), ["ada", "bob"], "me");
    told.take();
    // A group that was replaced counts from 0 again.
    await epochs.set(3, keyOf(2), ["ada"], "me");
    expect(told.take()).toEqual(["drop bob 3", "put ada 3"]);
  });

  it("gives all keys but the one that fails, and that one when asked again", async () => {
    let fails = true;
    const some = (identity: string) => (fails && identity === "bob" ? Promise.reject(new Error("no key")) : keyOf(1)());
    await expect(epochs.set(0, some, ["ada", "bob", "cleo"], "me")).rejects.toThrow("no key");
    expect(told.take()).toEqual(["put ada 0", "put cleo 0", "use me 0"]);
    fails = false;
    await epochs.renew();
    expect(told.take()).toContain("put bob 0");
  });

  it("says when the own key cannot be had, and when it came", async () => {
    let fails = true;
    await epochs.set(0, () => (fails ? Promise.reject(new Error("no key")) : keyOf(1)()), [], "me");
    expect(own).toEqual([false]);
    fails = false;
    await epochs.renew();
    expect(own).toEqual([false, true]);
  });

  it("gives the newest epoch's key of who comes later", async () => {
    await epochs.add("ada");
    await epochs.set(0, keyOf(1), [], "me");
    await epochs.set(1, keyOf(2), [], "me");
    told.take();
    await epochs.add("ada");
    expect(told.take()).toEqual(["put ada 1"]);
  });
});

describe("the key ring", () => {
  it("sends again what is in use, and nothing that was dropped", async () => {
    const ring = new KeyRing();
    const sent: string[] = [];
    ring.on(KeyProviderEvent.SetKey, ({ participantIdentity, keyIndex }, use) => {
      sent.push(`${participantIdentity} ${keyIndex} ${use}`);
    });
    const key = await importKey(bytes(1));
    ring.use("me", 4, key);
    ring.put("ada", 4, key);
    ring.put("ada", 5, key);
    expect(sent).toEqual(["me 4 true", "ada 4 false", "ada 5 false"]);
    expect(ring.getLatestManuallySetKeyIndex()).toBe(4);
    await ring.drop("ada", 4);
    await ring.drop("bob", 4);
    // Noise in its place: the worker cannot forget.
    expect(sent.slice(3)).toEqual(["ada 4 false"]);
    expect(ring.getKeys().map((one) => `${one.participantIdentity} ${one.keyIndex}`)).toEqual(["me 4", "ada 5"]);
  });

  it("keeps a key that came while another was being dropped", async () => {
    const ring = new KeyRing();
    const [old, young] = [await importKey(bytes(1)), await importKey(bytes(2))];
    ring.put("ada", 0, old);
    const dropping = ring.drop("ada", 0);
    ring.put("ada", 0, young);
    await dropping;
    expect(ring.getKeys().map((one) => one.key)).toEqual([young]);
  });

  it("never ratchets and never gives a key up", () => {
    expect(new KeyRing().getOptions()).toMatchObject({
      sharedKey: false, keyringSize: 16, keySize: 128, ratchetWindowSize: 0, failureTolerance: -1,
    });
  });
});

describe("the watch", () => {
  const one = (received: number, played: number, track = "TR_a", identity = "ada") => ({
    track, identity, received, played,
  });

  it("names who sends and is not played, once, and says when it heals", () => {
    const watch = new Watch();
    expect(watch.take([one(0, 0)])).toEqual([]);
    expect(watch.take([one(50, 0)])).toEqual([]);
    expect(watch.take([one(100, 0)])).toEqual([{ identity: "ada", healed: false }]);
    expect(watch.take([one(150, 0)])).toEqual([]);
    expect(watch.take([one(200, 1)])).toEqual([{ identity: "ada", healed: true }]);
  });

  it("holds a person to all tracks", () => {
    const watch = new Watch();
    const both = (n: number, heard: number, seen: number) => [one(n, heard, "TR_a"), one(n, seen, "TR_v")];
    for (const n of [0, 50]) watch.take(both(n, n, 0));
    expect(watch.take(both(100, 100, 0))).toEqual([{ identity: "ada", healed: false }]);
    // The picture is gone: nothing is left that cannot be opened.
    expect(watch.take([one(150, 150)])).toEqual([{ identity: "ada", healed: true }]);
  });

  it("takes silence, a pause and padding for what they are", () => {
    const watch = new Watch();
    for (let poll = 0; poll < 20; poll++) expect(watch.take([one(3 * poll, 0)])).toEqual([]);
  });

  it("forgives a keyframe that was waited for", () => {
    const watch = new Watch();
    watch.take([one(0, 0)]);
    watch.take([one(50, 0)]);
    expect(watch.take([one(100, 1)])).toEqual([]);
    expect(watch.take([one(150, 1)])).toEqual([]);
  });
});
