import { describe, expect, it } from "vitest";
import { Captions } from "./captions";

const said = (id: string, text: string, final = true, speaker = "ada") => ({ id, speaker, name: "Ada", text, final });
const shown = (captions: Captions) => captions.lines.map((line) => line.text);

describe("Captions", () => {
  it("changes a stretch of speech in its place, until it is final", () => {
    const captions = new Captions();
    captions.put(said("1", "go", false), 0);
    captions.put(said("2", "yes", true, "bob"), 10);
    captions.put(said("1", "good morning", true), 20);
    captions.put(said("1", "good", false), 30);
    captions.put(said("2", "another's", false, "cleo"), 40);
    expect(shown(captions)).toEqual(["good morning", "yes", "another's"]);
  });

  it("shows the last three, the end of long ones, and nothing empty", () => {
    const captions = new Captions();
    for (const id of ["1", "2", "3", "4"]) captions.put(said(id, id), 0);
    captions.put(said("5", " \n "), 0);
    expect(shown(captions)).toEqual(["2", "3", "4"]);
    captions.put(said("6", "word ".repeat(100)), 0);
    const last = captions.lines.at(-1)?.text ?? "";
    expect(last.length).toBeLessThanOrEqual(242);
    expect(last).toMatch(/^…word .* word$/u);
  });

  it("takes lines away seven seconds after their last change", () => {
    const captions = new Captions();
    captions.put(said("1", "early"), 0);
    captions.put(said("2", "late"), 3000);
    expect(captions.expire(6999)).toBe(1);
    expect(captions.expire(7000)).toBe(3000);
    expect(shown(captions)).toEqual(["late"]);
    expect(captions.expire(10_000)).toBeNull();
    expect(shown(captions)).toEqual([]);
  });
});
