import { describe, expect, it } from "vitest";
import { arrange, type Cast, layoutOf, orderStrip, ownViewOf } from "./stage";

const screen = (identity: string) => ({ kind: "screen" as const, identity });
const person = (identity: string) => ({ kind: "person" as const, identity });
const cast = (change: Partial<Cast>): Cast => ({
  screens: [],
  people: ["me", "ada", "bob"],
  pinned: null,
  spotlight: null,
  layout: "grid",
  speaker: "ada",
  ...change,
});

describe("arrange", () => {
  it("has all alike in the grid, screens first", () => {
    expect(arrange(cast({ screens: ["ada"] }))).toEqual({
      main: null,
      rest: [screen("ada"), person("me"), person("ada"), person("bob")],
    });
  });

  it("has the speaker large when nobody shares", () => {
    expect(arrange(cast({ layout: "sidebar" })).main).toEqual(person("ada"));
    expect(arrange(cast({ layout: "sidebar", speaker: null })).main).toBeNull();
  });

  it("has the first screen large and the others first in the strip", () => {
    const scene = arrange(cast({ layout: "sidebar", screens: ["bob", "ada"] }));
    expect(scene.main).toEqual(screen("bob"));
    expect(scene.rest.slice(0, 2)).toEqual([screen("ada"), person("me")]);
  });

  it.each(["grid", "sidebar", "speaker"] as const)("has what a host put first large, unless one pinned another (%s)", (layout) => {
    const lit = { layout, screens: ["ada"], spotlight: person("bob") };
    expect(arrange(cast(lit)).main).toEqual(person("bob"));
    expect(arrange(cast({ ...lit, pinned: screen("ada") })).main).toEqual(screen("ada"));
    expect(arrange(cast({ ...lit, pinned: person("gone") })).main).toEqual(person("bob"));
    expect(arrange(cast({ ...lit, spotlight: person("gone") })).main).toEqual(arrange(cast({ ...lit, spotlight: null })).main);
  });

  it.each(["grid", "sidebar", "speaker"] as const)("never loses anything, whatever is pinned (%s)", (layout) => {
    const everything = [screen("ada"), screen("bob"), person("me"), person("ada"), person("bob")];
    for (const pinned of [null, ...everything, person("gone")]) {
      const { main, rest } = arrange(cast({ layout, screens: ["ada", "bob"], pinned }));
      const shown = main === null ? rest : [main, ...rest];
      expect(shown).toHaveLength(everything.length);
      expect(shown).toEqual(expect.arrayContaining(everything));
      if (pinned !== null && pinned.identity !== "gone") expect(main).toEqual(pinned);
    }
  });
});

describe("layoutOf", () => {
  it("is what was chosen", () => {
    for (const layout of ["grid", "sidebar", "speaker"] as const) {
      expect([layoutOf(layout, false), layoutOf(layout, true)]).toEqual([layout, layout]);
    }
  });

  it("goes by itself from the grid to the sidebar while a screen is shared", () => {
    expect([layoutOf("auto", false), layoutOf("auto", true)]).toEqual(["grid", "sidebar"]);
  });
});

describe("ownViewOf", () => {
  it("is what was chosen, where there is room beside the others", () => {
    for (const view of ["tile", "float", "hidden"] as const) expect(ownViewOf(view, "grid", false)).toBe(view);
  });

  it("floats over a speaker who has the stage alone", () => {
    expect(ownViewOf("tile", "speaker", false)).toBe("float");
    expect(ownViewOf("hidden", "speaker", false)).toBe("hidden");
  });

  it("is all there is for who is alone", () => {
    for (const view of ["tile", "float", "hidden"] as const) expect(ownViewOf(view, "speaker", true)).toBe("tile");
  });
});

describe("orderStrip", () => {
  const own = new Set(["me"]);
  const all = ["me", "a", "b", "c", "d"];
  const speak = (previous: readonly string[], ...who: string[]) => orderStrip(previous, all, new Set(who), own);

  it("begins as people came, oneself first", () => {
    expect(orderStrip([], ["a", "me", "b"], new Set(), own)).toEqual(["me", "a", "b"]);
  });

  it("brings who speaks to the front", () => {
    expect(speak(all, "d")).toEqual(["me", "d", "a", "b", "c"]);
  });

  it("leaves two who talk with each other where they are", () => {
    expect(speak(all, "a")).toEqual(all);
    expect(speak(all, "b")).toEqual(all);
    expect(speak(all, "a", "b", "c")).toEqual(all);
  });

  it("comes to rest, however many speak", () => {
    const once = speak(all, "b", "c", "d");
    expect(speak(once, "b", "c", "d")).toEqual(once);
  });

  it("forgets who left and appends who came", () => {
    expect(orderStrip(["me", "d", "a"], ["me", "a", "e"], new Set(), own)).toEqual(["me", "a", "e"]);
  });
});
