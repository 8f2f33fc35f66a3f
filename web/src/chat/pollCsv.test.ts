import { describe, expect, it } from "vitest";
import type { Entry } from "../log/entries";
import { EMPTY, fold, linesOf } from "../log/fold";
import { pollCsv } from "./pollCsv";

const COLUMNS = { option: "Option", votes: "Votes", voters: "Who" };
const entry = (seq: number, from: string, change: Partial<Entry>): Entry => ({
  seq, verb: "vote", from, name: from, atMs: seq, body: {}, clientId: "", target: 1, to: "", expiresAtMs: null, fromMember: "", ...change,
});
const poll = (question: string, ...options: string[]): Entry => entry(1, "ada", { verb: "poll", target: null, body: { question, options, multiple: true } });

function csv(...entries: Entry[]): string[] {
  const [line] = linesOf(fold(EMPTY, entries), 100);
  if (line === undefined) throw new Error("no poll");
  return pollCsv(line, COLUMNS, (member) => member.toUpperCase()).split("\r\n");
}

describe("pollCsv", () => {
  it("says who chose what, as it is now", () => {
    const votes = [
      entry(2, "bob", { body: { choices: [0] } }),
      entry(3, "cem", { body: { choices: [0, 1] } }),
      entry(4, "bob", { body: { choices: [1] } }),
    ];
    expect(csv(poll("Tea or coffee?", "Tea", "Coffee", "Milk"), ...votes)).toEqual([
      "\uFEFFTea or coffee?", "Option,Votes,Who", "Tea,1,CEM", 'Coffee,2,"BOB, CEM"', "Milk,0,", "",
    ]);
  });

  it("keeps commas, quotes and lines in their cells, and makes no formula of anything", () => {
    expect(csv(poll("=HYPERLINK(1)", 'say "hi", all', "-1", "@x"))).toEqual([
      "\uFEFF'=HYPERLINK(1)", "Option,Votes,Who", '"say ""hi"", all",0,', "'-1,0,", "'@x,0,", "",
    ]);
  });
});
