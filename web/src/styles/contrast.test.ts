/** Every colour of text on every background that it stands on: WCAG 2.2, 1.4.3 (4.5:1) and 1.4.11 (3:1). */

import { readdirSync, readFileSync } from "node:fs";
import postcss, { type Declaration, type Rule } from "postcss";
import { describe, expect, it } from "vitest";

const FOLDER = new URL(".", import.meta.url);
const TEXT = 4.5;
const SHAPE = 3;

type Rgba = [number, number, number, number];
type Tokens = ReadonlyMap<string, string>;

const SURFACES = ["--bg", "--surface", "--surface-2", "--surface-3"];
const OVER_PICTURES = ["--veil", "--veil-strong"];

/** What each token stands on where the rule itself does not say it. A colour that is not here may not be used. */
const STANDS_ON: Record<string, { on: string[]; least: number }> = {
  "--text": { on: [...SURFACES, "--accent-soft"], least: TEXT },
  "--text-2": { on: [...SURFACES], least: TEXT },
  "--accent": { on: ["--bg", "--surface", "--accent-soft"], least: TEXT },
  "--on-accent": { on: ["--accent", "--accent-hover"], least: TEXT },
  "--on-danger": { on: ["--danger", "--danger-hover"], least: TEXT },
  "--danger-text": { on: ["--bg", "--surface", "--surface-2", "--danger-soft"], least: TEXT },
  "--warn-text": { on: ["--warn-soft"], least: TEXT },
  "--on-veil": { on: [...OVER_PICTURES, "--stage"], least: TEXT },
  "--on-veil-2": { on: ["--stage"], least: TEXT },
  "--on-veil-warn": { on: ["--veil"], least: SHAPE },
  "--on-veil-danger": { on: ["--veil"], least: SHAPE },
  "--on-tip": { on: ["--tip"], least: TEXT },
  "--ring": { on: [...SURFACES, "--accent-soft"], least: SHAPE },
  "--border-strong": { on: ["--bg", "--surface"], least: SHAPE },
  "--danger": { on: ["--bg", "--surface"], least: SHAPE },
};
/** Checked with the avatars' own colours below. */
const ELSEWHERE = new Set(["--on-avatar"]);

function declarations(rule: Rule): Map<string, string> {
  const found = rule.nodes.filter((node): node is Declaration => node.type === "decl");
  return new Map(found.map((node) => [node.prop === "background-color" ? "background" : node.prop, node.value]));
}

function rulesOf(file: string): Rule[] {
  const rules: Rule[] = [];
  postcss.parse(readFileSync(new URL(file, FOLDER), "utf8")).walkRules((rule) => void rules.push(rule));
  return rules;
}

function themes(): [string, Tokens][] {
  const light = new Map<string, string>();
  const dark = new Map<string, string>();
  const call = new Map<string, string>();
  for (const rule of rulesOf("tokens.css")) {
    const target = rule.selector !== ":root" ? call : rule.parent?.type === "atrule" ? dark : light;
    for (const [name, value] of declarations(rule)) target.set(name, value);
  }
  return [
    ["light", light],
    ["dark", new Map([...light, ...dark])],
    ["the call", new Map([...light, ...call])],
  ];
}

function parse(value: string, tokens: Tokens): Rgba | null {
  const token = /^var\((--[\w-]+)\)$/.exec(value)?.[1];
  if (token !== undefined) return parse(tokens.get(token) ?? "", tokens);
  const hex = /^#([0-9a-f]{6})$/i.exec(value)?.[1];
  if (hex !== undefined) return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)).concat(1) as Rgba;
  const rgb = /^rgb\((\d+) (\d+) (\d+) \/ (\d+)%\)$/.exec(value);
  if (rgb !== null) return [Number(rgb[1]), Number(rgb[2]), Number(rgb[3]), Number(rgb[4]) / 100];
  const mix = /^color-mix\(in srgb, (.+) (\d+)%, (.+)\)$/.exec(value);
  const [first, second] = [mix?.[1], mix?.[3]].map((part) => (part === undefined ? null : parse(part, tokens)));
  if (!mix || !first || !second) return null;
  return first.map((channel, at) => channel * (Number(mix[2]) / 100) + (second[at] ?? 0) * (1 - Number(mix[2]) / 100)) as Rgba;
}

function luminance(colour: readonly number[]): number {
  const [r, g, b] = colour.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** The worst ratio: under a translucent background there may be anything from black to white. */
function contrast(front: Rgba, back: Rgba): number {
  const ratios = (back[3] === 1 ? [0] : [0, 255]).map((under) => {
    const flat = back.slice(0, 3).map((channel) => channel * back[3] + under * (1 - back[3]));
    const [high, low] = [luminance(front.slice(0, 3)), luminance(flat)].sort((a, b) => b - a) as [number, number];
    return (high + 0.05) / (low + 0.05);
  });
  return Math.min(...ratios);
}

const FILES = readdirSync(FOLDER).filter((name) => name.endsWith(".css") && name !== "tokens.css");
const RULES = FILES.flatMap(rulesOf);
/** `.round:hover` wears what `.round` wears, unless it says otherwise. What is disabled is exempt (1.4.3). */
const STATE = /:(?:hover|checked|focus-visible|not\(:disabled\))/g;

/** Pairs of text and background that one selector has, its states included. */
function pairs(): [string, string, string][] {
  const wears = new Map<string, Map<string, string>>();
  const found: [string, string, string][] = [];
  for (const rule of RULES) {
    for (const selector of rule.selectors.filter((one) => !/:disabled(?!\))/.test(one))) {
      const base = wears.get(selector.replace(STATE, "")) ?? new Map<string, string>();
      const own = new Map([...base, ...(wears.get(selector) ?? []), ...declarations(rule)]);
      wears.set(selector, own);
      const [front, back] = [own.get("color"), own.get("background")];
      if (front !== undefined && back !== undefined) found.push([selector, front, back]);
    }
  }
  return found;
}

describe.each(themes())("in %s", (_theme, tokens) => {
  it("every colour can be told from what it stands on", () => {
    const bad: string[] = [];
    for (const [front, { on, least }] of Object.entries(STANDS_ON)) {
      for (const back of on) {
        const [one, other] = [parse(`var(${front})`, tokens), parse(`var(${back})`, tokens)];
        const ratio = one && other ? contrast(one, other) : 0;
        if (ratio < least) bad.push(`${front} on ${back}: ${ratio.toFixed(2)}, at least ${least}`);
      }
    }
    expect(bad).toEqual([]);
  });

  it("every rule that sets text and background sets a readable pair", () => {
    const bad: string[] = [];
    for (const [selector, front, back] of pairs()) {
      const [one, other] = [parse(front, tokens), parse(back, tokens)];
      if (one === null || other === null) continue;
      const least = /^var\((--[\w-]+)\)$/.exec(front)?.[1];
      const ratio = contrast(one, other);
      if (ratio < (least === undefined ? TEXT : (STANDS_ON[least]?.least ?? TEXT))) {
        bad.push(`${selector}: ${front} on ${back} is ${ratio.toFixed(2)}`);
      }
    }
    expect(bad).toEqual([]);
  });

  it("initials can be read on every avatar", () => {
    const white = parse("var(--on-avatar)", tokens);
    const avatars = RULES.filter((rule) => /^\.colour-\d$/.test(rule.selector));
    expect(avatars).toHaveLength(8);
    for (const rule of avatars) {
      const back = parse(declarations(rule).get("background") ?? "", tokens);
      expect(white && back ? contrast(white, back) : 0).toBeGreaterThanOrEqual(TEXT);
    }
  });
});

it("text has a colour of the table, so that no pair escapes", () => {
  const unknown = RULES.flatMap((rule) => {
    const value = declarations(rule).get("color");
    const token = /^var\((--[\w-]+)\)$/.exec(value ?? "")?.[1] ?? value;
    const fine = token === undefined || token === "inherit" || token in STANDS_ON || ELSEWHERE.has(token);
    return fine ? [] : [`${rule.selector}: ${value ?? ""}`];
  });
  expect(unknown).toEqual([]);
});

it("finds what was bad once", () => {
  const white: Rgba = [255, 255, 255, 1];
  const ratio = (front: Rgba, back: string) => Number(contrast(front, parse(back, new Map()) ?? white).toFixed(2));
  expect([ratio(white, "#e5555a"), ratio(white, "#e5484d"), ratio([43, 184, 148, 1], "#f6f7f4")]).toEqual([3.63, 3.91, 2.33]);
});
