import fc from "fast-check";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { parseEntry, type Entry } from "../log/entries";
import type { Draft } from "../log/outbox";
import { DEFAULT_POLICY, type Policy } from "../log/rest";
import type { RoomNews } from "../log/roomState";
import { random, toBase64url } from "../sealed/bytes";
import { Board, TIMES } from "./board";
import { type Element, Elements } from "./elements";
import { Assembly, MAX_PIECES, toPieces } from "./pieces";

const element = (id: string, version = 1, more: Partial<Element> & Record<string, unknown> = {}): Element => ({ id, type: "rectangle", version, versionNonce: 5, isDeleted: false, ...more });

/** A room's log in memory, and the boards of pages that are in it. */
class World {
  readonly log: Entry[] = [];
  private readonly pages: { me: string; hear: Partial<RoomNews>; sees: boolean }[] = [];
  policy: Policy = DEFAULT_POLICY;
  reads = 0;

  write(from: string, { verb, body }: Draft): void {
    const seq = this.policy.keeps === "log" ? this.log.length + 1 : 0;
    for (const { me, hear } of this.pages) {
      const entry = parseEntry({ seq, verb, from, name: from, at_ms: 1, body: JSON.parse(JSON.stringify(body)) as unknown, client_id: me === from ? "mine" : "" });
      if (entry === null) throw new Error("no entry");
      if (me === this.pages[0]?.me && seq > 0) this.log.push({ ...entry, clientId: "" });
      hear.onEntry?.(entry);
    }
  }

  page(me: string): Board {
    return new Board({
      write: (draft) => {
        this.write(me, draft);
      },
      listen: (hear) => {
        this.pages.push({ me, hear, sees: true });
        return () => undefined;
      },
      onReadable: () => () => undefined,
      page: (before, limit) => {
        this.reads += 1;
        const older = this.log.filter(({ seq }) => before === null || seq < before);
        return Promise.resolve({ entries: older.slice(-limit), newest: this.log.length, more: older.length > limit });
      },
      policy: () => this.policy,
    });
  }
}

const drawn = (board: Board) =>
  board
    .all()
    .filter(({ isDeleted }) => !isDeleted)
    .map(({ id }) => id)
    .sort();

beforeEach(() => {
  vi.useFakeTimers();
  return () => {
    vi.useRealTimers();
  };
});

const pass = () => vi.advanceTimersByTime(TIMES.gatherMs);

describe("pieces", () => {
  it("are put together again, in whatever order they come", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60_000 }), fc.option(fc.nat()), fc.boolean(), (size, upto, isTurned) => {
        const bytes = random(size);
        const pieces = toPieces("id", { bytes, upto }) ?? [];
        const assembly = new Assembly();
        const found = (isTurned ? [...pieces].reverse() : pieces).map((body, seq) => assembly.take("ada", seq, JSON.parse(JSON.stringify(body)) as typeof body));
        expect(found.slice(0, -1).every((one) => one === null)).toBe(true);
        const last = found.at(-1);
        // As text: arrays of this size are compared slowly, number by number.
        expect([last?.upto, toBase64url(last?.bytes ?? random(1))]).toEqual([upto, toBase64url(bytes)]);
        expect(assembly.oldest).toBe(Infinity);
      }),
      { numRuns: 20 },
    );
  });

  it("fit into an entry, and there are not too many of them", () => {
    for (const body of toPieces("id", { bytes: random(30_000), upto: 1 }) ?? []) expect(JSON.stringify(body).length).toBeLessThan(16_000);
    expect(toPieces("id", { bytes: new Uint8Array(11_000 * MAX_PIECES + 1), upto: null })).toBeNull();
  });

  it("of two people with one id are two updates", () => {
    const [first, second] = toPieces("id", { bytes: random(20_000), upto: null }) ?? [];
    const assembly = new Assembly();
    expect(assembly.take("ada", 1, first ?? {})).toBeNull();
    expect(assembly.take("eve", 2, second ?? {})).toBeNull();
    expect(assembly.oldest).toBe(1);
  });

  it("that are none are left out", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom("id", "part", "parts", "update", "upto"), fc.anything()), (body) => {
        const taken = new Assembly().take("eve", 1, body);
        expect(taken === null || taken.bytes instanceof Uint8Array).toBe(true);
      }),
    );
  });
});

describe("elements", () => {
  it("of others are looked over", () => {
    const updates: Uint8Array[] = [];
    const eve = new Elements({ onUpdate: (update) => updates.push(update), onShow: () => undefined });
    const ada = new Elements({ onUpdate: () => undefined, onShow: () => undefined });
    // As a page of another make could.
    const map = (eve as unknown as { doc: { transact: (act: () => void, origin: string) => void }; map: { set: (id: string, value: unknown) => void } });
    map.doc.transact(() => {
      map.map.set("a", element("a"));
      map.map.set("b", element("another id"));
      map.map.set("c", { ...element("c"), type: "embeddable", link: "https://example.org" });
      map.map.set("d", { ...element("d"), type: "image" });
      map.map.set("e", "not one");
      map.map.set("f", { ...element("f"), version: "1" });
    }, "drawn");
    for (const update of updates) ada.apply(update);
    ada.apply(random(50));
    expect(ada.all().map(({ id }) => id)).toEqual(["a"]);
  });

  it("change only by what is newer", () => {
    const updates: Uint8Array[] = [];
    const elements = new Elements({ onUpdate: (update) => updates.push(update), onShow: () => undefined });
    elements.put([element("a", 2)]);
    elements.put([element("a", 2)]);
    elements.put([element("a", 1)]);
    elements.put([element("a", 2, { versionNonce: 9 })]);
    expect(updates).toHaveLength(1);
    elements.put([element("a", 2, { versionNonce: 1 })]);
    expect(updates).toHaveLength(2);
  });
});

describe("a board", () => {
  it("has what two people drew at once, and what was wiped off is gone for both", async () => {
    const world = new World();
    const [ada, bob] = [world.page("ada"), world.page("bob")];
    await Promise.all([ada.load(), bob.load()]);
    const show = vi.fn();
    bob.subscribe(show);
    ada.put([element("a1"), element("a2")]);
    bob.put([element("b")]);
    expect(world.log).toHaveLength(0);
    pass();
    expect(world.log).toHaveLength(2);
    for (const board of [ada, bob]) expect(drawn(board)).toEqual(["a1", "a2", "b"]);
    expect(show).toHaveBeenCalledTimes(1);
    ada.wipe();
    for (const board of [ada, bob]) expect(drawn(board)).toEqual([]);
    // What a page changed by itself, not knowing of it yet, brings nothing back.
    bob.put([element("b", 1), element("a1", 3)]);
    pass();
    for (const board of [ada, bob]) expect(drawn(board)).toEqual([]);
  });

  it("is there for who comes later, who reads no more of the log than it takes", async () => {
    const world = new World();
    const [ada, bob] = [world.page("ada"), world.page("bob")];
    await Promise.all([ada.load(), bob.load()]);
    for (let n = 0; n < 300; n++) {
      (n % 2 === 0 ? ada : bob).put([element(`${n}`)]);
      pass();
    }
    const wholes = world.log.filter(({ body }) => body?.upto !== undefined && body.part === 1);
    expect(wholes).toHaveLength(3);
    world.reads = 0;
    const cleo = world.page("cleo");
    await cleo.load();
    expect(world.reads).toBe(1);
    expect(drawn(cleo)).toEqual(drawn(ada));
    expect(drawn(cleo)).toHaveLength(300);
  });

  it("is not written by who has not all of it", async () => {
    const world = new World();
    const ada = world.page("ada");
    await ada.load();
    ada.put([element("first")]);
    pass();
    world.policy = { ...DEFAULT_POLICY, history: false };
    const before = [...world.log];
    world.log.length = 0;
    const guest = world.page("guest");
    await guest.load();
    expect(guest.lacks).toBe(true);
    world.log.push(...before);
    for (let n = 0; n < 120; n++) {
      guest.put([element(`g${n}`)]);
      pass();
    }
    expect(world.log.filter(({ body }) => body?.upto !== undefined)).toEqual([]);
    // Whoever has it writes it for them when they ask.
    ada.handleAsked();
    vi.advanceTimersByTime(TIMES.answerMs);
    expect(drawn(guest)).toEqual(drawn(ada));
  });

  it("goes on from one to the other where the server keeps nothing, and is written once", async () => {
    const world = new World();
    world.policy = { ...DEFAULT_POLICY, keeps: "nothing" };
    const [ada, bob] = [world.page("ada"), world.page("bob")];
    await Promise.all([ada.load(), bob.load()]);
    ada.put([element("a")]);
    pass();
    const cleo = world.page("cleo");
    await cleo.load();
    expect(cleo.lacks).toBe(true);
    expect(drawn(cleo)).toEqual([]);
    const written = vi.spyOn(world, "write");
    for (const board of [ada, bob]) board.handleAsked();
    vi.advanceTimersByTime(TIMES.answerMs);
    expect(drawn(cleo)).toEqual(["a"]);
    expect(written).toHaveBeenCalledTimes(1);
  });

  it("reads the log anew after much was missed, and again when that failed", async () => {
    const world = new World();
    const ada = world.page("ada");
    await ada.load();
    const bob = world.page("bob");
    let isDown = true;
    const read = vi.spyOn((bob as unknown as { options: { page: () => Promise<unknown> } }).options, "page");
    read.mockImplementationOnce(() => (isDown ? Promise.reject(new Error("down")) : Promise.resolve(null)));
    await expect(bob.load()).rejects.toThrow("down");
    isDown = false;
    ada.put([element("a")]);
    pass();
    await bob.load();
    expect(drawn(bob)).toEqual(["a"]);
  });
});
