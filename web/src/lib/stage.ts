/** What stands where on the stage: shared screens and people, one of them large or all alike. */

import type { ChosenLayout, Layout, OwnView } from "./prefs";

/** One place on the stage. Whoever shares a screen has two: themselves, and the screen. */
export interface Item {
  kind: "screen" | "person";
  identity: string;
}

export interface Scene {
  /** What is large; null when all are alike. */
  main: Item | null;
  /** Everything else, shared screens first. */
  rest: readonly Item[];
}

export interface Cast {
  /** The identities of those who share a screen, the first who did so first. */
  screens: readonly string[];
  people: readonly string[];
  /** What one wants large oneself. */
  pinned: Item | null;
  /** What a host put first for all. */
  spotlight: Item | null;
  layout: Layout;
  /** Who is large, outside of the grid, when nobody shares a screen. */
  speaker: string | null;
}

export function isSame(one: Item | null, other: Item | null): boolean {
  return one !== null && other !== null && one.kind === other.kind && one.identity === other.identity;
}

/** What a choice comes to, while somebody shares a screen (`watching`) or not. */
export function layoutOf(chosen: ChosenLayout, watching: boolean): Layout {
  if (chosen !== "auto") return chosen;
  return watching ? "sidebar" : "grid";
}

/** Where one's own picture is: where nothing is beside the speaker, it cannot be a tile, and alone it is all there is. */
export function ownViewOf(chosen: OwnView, layout: Layout, alone: boolean): OwnView {
  if (alone) return "tile";
  return chosen === "tile" && layout === "speaker" ? "float" : chosen;
}

/** Nothing ever leaves the stage: a screen that is not large stands first among the rest. */
export function arrange({ screens, people, pinned, spotlight, layout, speaker }: Cast): Scene {
  const all: Item[] = [
    ...screens.map((identity) => ({ kind: "screen" as const, identity })),
    ...people.map((identity) => ({ kind: "person" as const, identity })),
  ];
  const wanted = [
    pinned,
    spotlight,
    ...(layout !== "grid" ? [all.find((item) => item.kind === "screen"), personOf(speaker)] : []),
  ];
  const main = wanted.map((item) => all.find((entry) => isSame(entry, item ?? null))).find((item) => item !== undefined);
  return { main: main ?? null, rest: all.filter((item) => item !== main) };
}

function personOf(identity: string | null): Item | null {
  return identity === null ? null : { kind: "person", identity };
}

/** This many places of the strip belong to whoever spoke last, so that two who talk with each other do not jump. */
const LEADING = 2;

/**
 * The order of the strip: oneself, then whoever spoke last. Who speaks and is not among the first two moves to the
 * front, unless both of them speak too; everybody else keeps their order.
 */
export function orderStrip(
  previous: readonly string[],
  present: readonly string[],
  speaking: ReadonlySet<string>,
  own: ReadonlySet<string>,
): string[] {
  const here = new Set(present);
  const known = new Set(previous);
  const others = [...previous.filter((id) => here.has(id)), ...present.filter((id) => !known.has(id))].filter(
    (id) => !own.has(id),
  );
  for (let index = LEADING; index < others.length; index++) {
    const id = others[index];
    if (id === undefined || !speaking.has(id)) continue;
    if (others.slice(0, LEADING).every((leader) => speaking.has(leader))) break;
    others.splice(index, 1);
    others.unshift(id);
  }
  return [...present.filter((id) => own.has(id)), ...others];
}
