import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Body } from "../log/entries";
import { Keeping, MAX_ENTRY_BYTES } from "./keeping";
import { earlierMessages, MAX_MESSAGE_BYTES, parseMessage } from "./messages";
import { putPenDown } from "./pen";
import { pictureBox, toPoint } from "./picture";
import { FADE_MS, type Line, MAX_NUMBERS, MAX_STROKES, SCALE, Sheet, type Stroke } from "./sheet";

const line = (id: string, points: readonly number[] = [1, 2, 3, 4], more: Partial<Line> = {}): Line => ({ id, at: 0, points, end: true, ...more });
const OPEN = { everyone: true, stays: true };

function sheetOf(rules = OPEN): Sheet {
  const sheet = new Sheet("ada", "TR_1");
  sheet.setRules(rules, 0);
  return sheet;
}

describe("a sheet", () => {
  it("takes strokes of its presenter alone until everybody may draw", () => {
    const sheet = new Sheet("ada", "TR_1");
    expect(sheet.add("bob", line("1"), 0)).toBeNull();
    expect(sheet.add("ada", line("1"), 0)).not.toBeNull();
    sheet.setRules({ everyone: true, stays: false }, 0);
    expect(sheet.add("bob", line("1"), 0)).not.toBeNull();
    expect(sheet.strokes.map(({ by }) => by)).toEqual(["ada", "bob"]);
  });

  it("ends the strokes of those who may no longer draw, and takes nothing more of them", () => {
    const sheet = sheetOf();
    sheet.add("bob", line("1", [1, 2], { end: false }), 0);
    sheet.setRules({ everyone: false, stays: true }, 5);
    expect(sheet.strokes[0]).toMatchObject({ done: true, points: [1, 2] });
    expect(sheet.add("bob", line("1", [3, 4], { at: 2 }), 6)).toBeNull();
  });

  it("puts the parts of a stroke together, in their order only", () => {
    const sheet = sheetOf();
    sheet.add("bob", line("1", [1, 2], { end: false }), 0);
    expect(sheet.add("bob", line("1", [9, 9], { at: 4 }), 1)).toBeNull();
    expect(sheet.add("bob", line("1", [1, 2], { end: false }), 1)).toBeNull();
    expect(sheet.add("bob", line("1", [3, 4], { at: 2 }), 1)?.points).toEqual([1, 2, 3, 4]);
    expect(sheet.add("bob", line("1", [5, 6], { at: 4 }), 1)).toBeNull();
    expect(sheet.add("bob", line("2", [5, 6], { at: 4 }), 1)).toBeNull();
  });

  it("keeps one person's stroke from another's with the same id", () => {
    const sheet = sheetOf();
    sheet.add("bob", line("1", [1, 2], { end: false }), 0);
    expect(sheet.add("eve", line("1", [3, 4], { at: 2 }), 0)).toBeNull();
    expect(sheet.strokes).toHaveLength(1);
  });

  it("lets strokes fade that do not stay, and no others", () => {
    const sheet = sheetOf({ everyone: true, stays: false });
    sheet.add("bob", line("fades"), 0);
    sheet.setRules(OPEN, 0);
    sheet.add("bob", line("stays"), 0);
    expect(sheet.expire(FADE_MS - 1)).toBe(1);
    expect(sheet.expire(FADE_MS)).toBeNull();
    expect(sheet.strokes.map(({ id }) => id)).toEqual(["stays"]);
  });

  it("ends a stroke of which nothing more comes", () => {
    const sheet = sheetOf({ everyone: true, stays: false });
    sheet.add("bob", line("1", [1, 2], { end: false }), 0);
    const stalledMs = sheet.expire(0) ?? 0;
    expect(sheet.expire(stalledMs)).toBe(FADE_MS);
    expect(sheet.expire(stalledMs + FADE_MS)).toBeNull();
    expect(sheet.strokes).toEqual([]);
  });

  it("takes no more of one person than a hand draws, and of others as before", () => {
    const sheet = sheetOf();
    const taken = Array.from({ length: 100 }, (_, n) => sheet.add("bob", line(`${n}`, [1, 2]), 0)).filter((one) => one !== null);
    expect(taken).toHaveLength(24);
    expect(sheet.add("bob", line("second", [1, 2]), 1000)).not.toBeNull();
    expect(sheet.add("eve", line("1"), 0)).not.toBeNull();
    const long = Array.from({ length: MAX_NUMBERS }, () => 1);
    const longOnes = Array.from({ length: 10 }, (_, n) => sheet.add("cleo", line(`${n}`, long), 0)).filter((one) => one !== null);
    expect(longOnes).toHaveLength(4);
  });

  it("has a limit for one stroke and for all", () => {
    const sheet = sheetOf();
    sheet.add("bob", line("1", Array.from({ length: MAX_NUMBERS }, () => 1), { end: false }), 0);
    expect(sheet.add("bob", line("1", [1, 2], { at: MAX_NUMBERS }), 0)).toBeNull();
    for (let n = 0; n < MAX_STROKES + 10; n++) sheet.add("cleo", line(`${n}`, [1, 2]), n * 1000);
    expect(sheet.strokes).toHaveLength(MAX_STROKES);
    expect(sheet.strokes.at(-1)?.id).toBe(`${MAX_STROKES + 9}`);
  });

  it("takes what was there earlier once, below what is new", () => {
    const sheet = sheetOf();
    sheet.add("bob", line("new"), 0);
    const earlier = [{ id: "old", by: "ada", points: [1, 2], stays: true }, { id: "new", by: "bob", points: [7, 7], stays: true }];
    sheet.addEarlier(earlier, 0);
    sheet.addEarlier(earlier, 0);
    expect(sheet.strokes.map(({ id, points }) => [id, points.length])).toEqual([["old", 2], ["new", 4]]);
  });
});

describe("a picture", () => {
  it.each([
    [{ width: 400, height: 100 }, { width: 100, height: 100 }, { x: 150, y: 0, width: 100, height: 100 }],
    [{ width: 100, height: 400 }, { width: 1600, height: 800 }, { x: 0, y: 175, width: 100, height: 50 }],
  ])("in %j of %j is at %j", (outer, picture, box) => {
    expect(pictureBox(outer, picture)).toEqual(box);
  });

  it("has no place without a size", () => {
    expect(pictureBox({ width: 100, height: 100 }, { width: 0, height: 0 })).toBeNull();
    expect(pictureBox({ width: 0, height: 100 }, { width: 10, height: 10 })).toBeNull();
  });

  it("has the same points in windows of every size, within a pixel", () => {
    const sizes = fc.record({ width: fc.integer({ min: 50, max: 4000 }), height: fc.integer({ min: 50, max: 4000 }) });
    const parts = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(sizes, sizes, parts, parts, (outer, picture, x, y) => {
        const box = pictureBox(outer, picture);
        if (box === null) throw new Error("it has a size");
        const [left, top] = toPoint(box.x + x * box.width, box.y + y * box.height, box);
        expect(Math.abs((left / SCALE) * box.width - x * box.width)).toBeLessThan(1);
        expect(Math.abs((top / SCALE) * box.height - y * box.height)).toBeLessThan(1);
      }),
    );
  });

  it("has no points beside it", () => {
    expect(toPoint(-5, 999, { x: 0, y: 0, width: 100, height: 100 })).toEqual([0, SCALE]);
  });
});

describe("messages", () => {
  it("of any kind are looked over without an error", () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        parseMessage(value);
      }),
    );
  });

  it.each([
    { type: "line", share: "s", presenter: "ada", id: "1", at: -1, points: [1, 2] },
    { type: "line", share: "s", presenter: "ada", id: "1", at: 0, points: [1] },
    { type: "line", share: "s", presenter: "ada", id: "1", at: 0, points: [1, SCALE + 1] },
    { type: "line", share: "s", presenter: "", id: "1", at: 0, points: [1, 2] },
    { type: "line", share: "s", presenter: "ada", id: "x".repeat(600), at: 0, points: [1, 2] },
    { type: "rules", share: "" },
    { type: "erase", share: "s" },
  ])("%j is none", (message) => {
    expect(parseMessage(message)).toBeNull();
  });

  it("tell who comes later everything, in packets that are not too long", () => {
    const strokes = Array.from({ length: 60 }, (_, n): Stroke => ({ id: `${n}`, by: "bob", points: Array.from({ length: n * 16 + 2 }, () => 9999), done: true, stays: true, changedAtMs: 0 }));
    const messages = earlierMessages("s", strokes);
    const found = messages.flatMap((message) => {
      expect(new TextEncoder().encode(JSON.stringify(message)).length).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
      const parsed = parseMessage(JSON.parse(JSON.stringify(message)));
      return parsed?.type === "earlier" ? parsed.strokes : [];
    });
    expect(found.map(({ id, points }) => [id, points.length])).toEqual(strokes.map(({ id, points }) => [id, points.length]));
  });
});

describe("with time", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("a pen's points go out together, and a long stroke as several that join", () => {
    const sent: Line[] = [];
    const pen = putPenDown((one) => sent.push(one));
    pen.move([1, 2]);
    pen.move([3, 4]);
    expect(sent).toEqual([]);
    vi.advanceTimersByTime(50);
    expect(sent).toMatchObject([{ at: 0, points: [1, 2, 3, 4], end: false }]);
    pen.move([5, 6]);
    pen.end();
    expect(sent[1]).toEqual({ id: sent[0]?.id, at: 4, points: [5, 6], end: true });
    const long = putPenDown((one) => sent.push(one));
    for (let n = 0; n <= MAX_NUMBERS / 2; n++) long.move([n, n]);
    long.end();
    expect(sent.slice(2).map(({ at, points, end }) => [at, points.length, end])).toEqual([[0, MAX_NUMBERS, true], [0, 4, true]]);
    expect(sent[3]?.points.slice(0, 2)).toEqual(sent[2]?.points.slice(-2));
  });

  it("strokes that end together are one entry, many are several, and none is lost before all is wiped off", () => {
    const written: Body[] = [];
    const keeping = new Keeping("TR_1", (body) => written.push(body));
    const stroke: Stroke = { id: "1", by: "bob~2", points: [1, 2], done: true, stays: true, changedAtMs: 0 };
    keeping.add(stroke, "bob", "Bob");
    keeping.add(stroke, "bob", "Bob");
    expect(written).toEqual([]);
    vi.advanceTimersByTime(1000);
    const kept = { by: "bob", name: "Bob", points: [1, 2] };
    expect(written).toEqual([{ share: "TR_1", strokes: [kept, kept] }]);
    const long = { ...stroke, points: Array.from({ length: MAX_NUMBERS }, () => 9999) };
    for (let n = 0; n < 10; n++) keeping.add(long, "bob", "Bob");
    keeping.clear();
    const later = written.slice(1);
    expect(later.at(-1)).toEqual({ share: "TR_1", clear: true });
    expect(later.slice(0, -1).flatMap(({ strokes }) => strokes)).toHaveLength(10);
    for (const body of later) expect(JSON.stringify(body).length).toBeLessThanOrEqual(MAX_ENTRY_BYTES);
  });
});
