import { describe, expect, it } from "vitest";
import { layoutGrid, orderForPages } from "./grid";

const desktop = { width: 1240, height: 620, gap: 12, minTileWidth: 200 };
const phone = { width: 344, height: 620, gap: 8, minTileWidth: 150 };

describe("layoutGrid", () => {
  it("never overflows, never overlaps, and has a place for each of 1 to 60 people", () => {
    for (const space of [desktop, phone, { ...desktop, width: 800, height: 300 }]) {
      for (let count = 1; count <= 60; count++) {
        const grid = layoutGrid(count, space);
        expect(grid.columns * grid.tileWidth + (grid.columns - 1) * space.gap).toBeLessThanOrEqual(space.width);
        expect(grid.rows * grid.tileHeight + (grid.rows - 1) * space.gap).toBeLessThanOrEqual(space.height);
        expect(grid.columns * grid.rows).toBeGreaterThanOrEqual(grid.perPage);
        expect(grid.pages * grid.perPage).toBeGreaterThanOrEqual(count);
        expect((grid.pages - 1) * grid.perPage).toBeLessThan(count);
        if (grid.perPage > 1) expect(grid.tileWidth).toBeGreaterThanOrEqual(space.minTileWidth);
      }
    }
  });

  it("puts two people side by side on a desktop and one above the other on a phone", () => {
    expect(layoutGrid(2, desktop)).toMatchObject({ columns: 2, rows: 1, pages: 1 });
    expect(layoutGrid(2, phone)).toMatchObject({ columns: 1, rows: 2, pages: 1 });
  });

  it("shows many people on several pages", () => {
    expect(layoutGrid(30, phone).pages).toBeGreaterThan(1);
  });

  it("survives a space of nothing", () => {
    expect(layoutGrid(5, { width: 0, height: 0, gap: 12, minTileWidth: 200 })).toMatchObject({ perPage: 1, pages: 5 });
  });
});

describe("orderForPages", () => {
  const none = new Set<string>();
  const order = (previous: string[], present: string[], speaking: string[], spoke: [string, number][] = []) =>
    orderForPages(previous, present, 3, new Map(spoke), new Set(speaking), new Set(["me"]));

  it("keeps places when people come and go", () => {
    expect(order(["me", "a", "b"], ["me", "b", "c"], [])).toEqual(["me", "b", "c"]);
  });

  it("brings a speaker of page two to page one in place of the one silent longest", () => {
    const spoke: [string, number][] = [["a", 5], ["b", 9]];
    expect(order(["me", "a", "b", "c", "d"], ["me", "a", "b", "c", "d"], ["d"], spoke)).toEqual(["me", "d", "b", "c", "a"]);
  });

  it("moves nobody who is on page one already, nor one who speaks, nor oneself", () => {
    const all = ["me", "a", "b", "c"];
    expect(order(all, all, ["b"])).toEqual(all);
    expect(order(all, all, ["a", "b", "c"])).toEqual(all);
    expect(orderForPages(all, all, 1, new Map(), new Set(["c"]), new Set(["me"]))).toEqual(all);
  });

  it("holds everybody exactly once", () => {
    const all = Array.from({ length: 30 }, (_, index) => `p${index}`);
    const result = orderForPages(all, all, 9, new Map(), new Set(["p20", "p29", "p3"]), none);
    expect([...result].sort()).toEqual([...all].sort());
    expect(result.slice(0, 9)).toEqual(expect.arrayContaining(["p3", "p20", "p29"]));
  });
});
