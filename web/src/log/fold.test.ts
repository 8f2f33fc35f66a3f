import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Entry, parseEntry, type Verb } from "./entries";
import { apply, EMPTY, fold, linesOf, type LogState, nextExpiryMs, raisedHands } from "./fold";

const PEOPLE = ["ada", "bob", "cem"];
const NOW_MS = 1;

/** What a person does, and which of the things that are there it is about (counted from the newest). */
interface Act {
  verb: Verb;
  who: number;
  back: number;
  value: number;
}

const act: fc.Arbitrary<Act> = fc.record({
  verb: fc.constantFrom<Verb>(
    "message", "message", "message", "edit", "delete", "react", "react", "pin", "file", "poll", "vote", "vote",
    "close_poll", "hand", "moderation", "policy", "came", "left", "call_began", "call_ended",
  ),
  who: fc.nat(PEOPLE.length - 1),
  back: fc.nat(5),
  value: fc.nat(3),
});

const TARGETS: Partial<Record<Verb, Verb[]>> = {
  edit: ["message"],
  delete: ["message", "file", "poll"],
  react: ["message", "file", "poll"],
  pin: ["message", "file", "poll"],
  vote: ["poll"],
  close_poll: ["poll"],
};

function bodyOf({ verb, value }: Act): Record<string, unknown> {
  switch (verb) {
    case "message":
    case "edit":
      return { text: `text ${value}` };
    case "react":
      return { emoji: "👍🎉❤️😀".at(value) ?? "👍", on: value !== 2 };
    case "pin":
      return { on: value !== 2 };
    case "file":
      return { file_id: `f${value}`, name: "a.txt", size: 3 };
    case "poll":
      return { question: "?", options: ["a", "b", "c", "d"], multiple: true };
    case "vote":
      return { choices: Array.from({ length: value }, (_, choice) => choice) };
    case "hand":
      return { up: value > 0 };
    case "moderation":
      return { act: value === 0 ? "lower_hands" : "kick", who: "bob" };
    default:
      return {};
  }
}

/** The server, as far as clients notice: it applies edit, delete and close_poll to the body of what they are about. */
class Server {
  readonly stored: Entry[] = [];
  readonly live: Entry[] = [];
  private clock = 1000;

  constructor(acts: readonly Act[]) {
    for (const one of acts) this.take(one);
  }

  private take(one: Act): void {
    const kinds = TARGETS[one.verb];
    const candidates = this.stored.filter(
      (entry) => kinds?.includes(entry.verb) && entry.body !== null && !(one.verb === "vote" && entry.body.closed === true),
    );
    const target = candidates.at(-1 - one.back);
    if (kinds !== undefined && target === undefined) return;
    this.clock += 1 + one.value;
    const entry: Entry = {
      seq: this.stored.length + 1, verb: one.verb, from: PEOPLE[one.who] ?? "", name: "", atMs: this.clock, body: bodyOf(one),
      clientId: "", target: target?.seq ?? null, to: "", expiresAtMs: null, fromMember: "",
    };
    if (target !== undefined) this.stored[target.seq - 1] = this.changed(target, entry);
    this.stored.push(entry);
    this.live.push({ ...entry });
    this.forgetEdits(entry);
  }

  private changed(target: Entry, entry: Entry): Entry {
    if (entry.verb === "delete") return { ...target, body: null };
    if (entry.verb === "edit") return { ...target, body: { ...entry.body, edited_at_ms: entry.atMs } };
    if (entry.verb === "close_poll") return { ...target, body: { ...target.body, closed: true } };
    return target;
  }

  private forgetEdits(entry: Entry): void {
    if (entry.verb !== "delete") return;
    for (const [at, other] of this.stored.entries()) {
      if (other.verb === "edit" && other.target === entry.target) this.stored[at] = { ...other, body: null };
    }
  }
}

const shown = (state: LogState) =>
  JSON.stringify([
    linesOf(state, NOW_MS).map(({ entry, ...line }) => ({ ...line, body: textOf(line.body), seq: entry.seq, verb: entry.verb })),
    raisedHands(state),
  ]);
const textOf = (body: Record<string, unknown> | null) => body && [body.text, body.question, body.file_id];

describe("the state of a room", () => {
  it("does not depend on what came as a page and what came live, in which order, or how often", () => {
    fc.assert(
      fc.property(
        fc.array(act, { maxLength: 60 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.array(fc.nat(7), { maxLength: 8 }),
        fc.infiniteStream(fc.nat(1000)),
        (acts, share, cuts, dice) => {
          const whole = new Server(acts);
          const expected = shown(fold(EMPTY, whole.stored));
          // Live from some point on; pages of what was before are fetched when everything has happened, or before that.
          const from = Math.floor(share * whole.live.length);
          const early = new Server(acts.slice(0, Math.floor(share * acts.length))).stored;
          const pages = [...split(early, cuts), ...split(whole.stored.slice(0, from), cuts).reverse()];
          const parts = [...whole.live.slice(from).map((entry) => [entry]), ...pages];
          const shuffled = parts.map((part) => ({ part, at: next(dice) })).sort((one, other) => one.at - other.at);
          let state = EMPTY;
          for (const { part, at } of shuffled) {
            state = fold(state, part);
            if (at % 3 === 0) state = fold(state, part);
          }
          expect(shown(state)).toBe(expected);
          expect(shown(whole.live.reduce(apply, EMPTY))).toBe(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("is whole for the newest entries when older ones are not there yet", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), fc.nat(60), (acts, floor) => {
        const { stored } = new Server(acts);
        const all = linesOf(fold(EMPTY, stored), NOW_MS).filter(({ entry }) => entry.seq > floor);
        const page = linesOf(fold(EMPTY, stored.filter(({ seq }) => seq > floor)), NOW_MS);
        expect(page).toEqual(all);
      }),
    );
  });

  it("shows what the server has: the texts of now, and no text that is gone", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const { stored, live } = new Server(acts);
        const texts = linesOf(live.reduce(apply, EMPTY), NOW_MS).map(({ body }) => body?.text ?? null);
        const lines = stored.filter(({ verb }) => TARGETS[verb] === undefined && verb !== "hand");
        expect(texts).toEqual(lines.map(({ body }) => body?.text ?? null));
      }),
    );
  });

  it("is another one, and the old one stays as it was", () => {
    const before = fold(EMPTY, new Server([{ verb: "message", who: 0, back: 0, value: 1 }]).stored);
    const seen = shown(before);
    apply(before, { ...entryOf(2, "delete"), target: 1 });
    expect(shown(before)).toBe(seen);
  });
});

function split(entries: readonly Entry[], cuts: readonly number[]): Entry[][] {
  const parts: Entry[][] = [];
  let rest = [...entries];
  for (const cut of cuts) {
    parts.push(rest.slice(0, cut));
    rest = rest.slice(cut);
  }
  return [...parts, rest];
}

function next(dice: Iterator<number>): number {
  return dice.next().value as number;
}

function entryOf(seq: number, verb: Verb, change: Partial<Entry> = {}): Entry {
  return {
    seq, verb, from: "ada", name: "Ada", atMs: 1000 + seq, body: {}, clientId: "", target: null, to: "", expiresAtMs: null,
    fromMember: "", ...change,
  };
}

describe("hands", () => {
  const up = (seq: number, from: string) => entryOf(seq, "hand", { from, body: { up: true } });
  const members = (state: LogState) => raisedHands(state).map(({ member }) => member);

  it("stand in the order in which they were raised", () => {
    expect(members(fold(EMPTY, [up(2, "bob"), up(1, "ada"), up(3, "cem")]))).toEqual(["ada", "bob", "cem"]);
  });

  it.each([
    ["all are lowered", entryOf(4, "moderation", { body: { act: "lower_hands" } }), []],
    ["the call ends", entryOf(4, "call_ended"), []],
    ["one leaves", entryOf(4, "left", { from: "bob" }), ["ada"]],
    ["one comes down", entryOf(4, "hand", { from: "ada", body: { up: false } }), ["bob"]],
  ])("are down when %s, and may go up again", (_, entry, left) => {
    const state = apply(fold(EMPTY, [up(1, "ada"), up(2, "bob")]), entry);
    expect(members(state)).toEqual(left);
    expect(members(apply(state, up(5, "bob")))).toContain("bob");
  });

  it("go up and down where nothing is kept", () => {
    const state = fold(EMPTY, [entryOf(7, "policy"), up(0, "ada")]);
    expect(members(state)).toEqual(["ada"]);
    expect(members(apply(state, entryOf(0, "hand", { body: { up: false } })))).toEqual([]);
    expect(members(apply(state, entryOf(8, "moderation", { body: { act: "lower_hands" } })))).toEqual([]);
  });
});

describe("what has a time", () => {
  it("is gone when it is over, and says when that is", () => {
    const state = fold(EMPTY, [entryOf(1, "message", { body: { text: "soon" }, expiresAtMs: 5000 }), entryOf(2, "message")]);
    expect(linesOf(state, 4999)[0]?.body).toEqual({ text: "soon" });
    expect(linesOf(state, 5000)[0]?.body).toBeNull();
    expect([nextExpiryMs(state, 4999), nextExpiryMs(state, 5000)]).toEqual([5000, null]);
  });
});

describe("a room that keeps nothing", () => {
  it("shows what passes by, and one's own once", () => {
    const said = entryOf(0, "message", { body: { text: "hi" }, clientId: "c1" });
    const state = fold(EMPTY, [entryOf(1, "policy", { atMs: 10 }), said, said, entryOf(2, "policy", { atMs: 9999 })]);
    expect(linesOf(state, NOW_MS).map(({ entry }) => entry.seq)).toEqual([1, 0, 2]);
  });
});

describe("parseEntry", () => {
  it("takes what the server sends", () => {
    const wire = { seq: 3, verb: "message", from: "guest_1", name: "Ada", at_ms: 5, body: { text: "hi" }, to: "guest_2", expires_at_ms: 9 };
    expect(parseEntry(wire)).toEqual({
      seq: 3, verb: "message", from: "guest_1", name: "Ada", atMs: 5, body: { text: "hi" }, clientId: "", target: null,
      to: "guest_2", expiresAtMs: 9, fromMember: "",
    });
  });

  it("has null for anything else, and never throws", () => {
    expect(parseEntry({ seq: 1, verb: "of the future" })).toBeNull();
    fc.assert(fc.property(fc.anything(), (value) => parseEntry(value) === null || typeof value === "object"));
  });
});
