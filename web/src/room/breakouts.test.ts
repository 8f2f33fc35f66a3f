import { describe, expect, it } from "vitest";
import { Breakouts } from "./breakouts";

const named = (...names: string[]) => names.map((name) => ({ member_id: name, name }));
const open = (...rooms: string[][]) => ({
  type: "breakouts",
  open: true,
  how: "choice",
  rooms: rooms.map((people, number) => ({ number, people: named(...people) })),
  ends_in_ms: 60_000,
  help: named("bob"),
  hosts: ["ada"],
});
const message = { verb: "message" as const, body: { text: "hi" } };

describe("Breakouts", () => {
  it("knows who is where, when it ends, and where one is oneself", () => {
    const breakouts = new Breakouts("bob");
    breakouts.hear(open(["ada"], ["bob"], []));
    const { endsAtMs, ...state } = breakouts.state;
    expect(Math.abs((endsAtMs ?? 0) - Date.now() - 60_000)).toBeLessThan(5000);
    expect(state).toEqual({
      open: true,
      how: "choice",
      rooms: [
        { number: 0, people: [{ member: "ada", name: "ada" }] },
        { number: 1, people: [{ member: "bob", name: "bob" }] },
        { number: 2, people: [] },
      ],
      help: [{ member: "bob", name: "bob" }],
      hosts: ["ada"],
      mine: 1,
    });
  });

  it("is where it was while it is on the way, and in the main room when all is over", () => {
    const breakouts = new Breakouts("bob");
    breakouts.hear(open(["ada"], ["bob"]));
    breakouts.hear(open(["ada"], []));
    expect(breakouts.state.mine).toBe(1);
    breakouts.hear({ type: "breakouts", open: false });
    expect(breakouts.state).toMatchObject({ open: false, mine: 0 });
    breakouts.hear(open(["ada"], ["bob"]));
    breakouts.hear({ type: "opened" });
    expect(breakouts.state.open).toBe(false);
  });

  it("marks what is written for the room in which it is written, and nothing else", () => {
    const breakouts = new Breakouts("bob");
    expect(breakouts.mark(message)).toBe(message);
    breakouts.hear(open(["ada"], ["bob"]));
    expect(breakouts.mark(message).body).toEqual({ text: "hi", breakout: 1 });
    for (const draft of [
      { ...message, to: "ada" },
      { ...message, body: { text: "hi", announce: true } },
      { verb: "vote" as const, target: 1, body: { choices: [0] } },
    ]) {
      expect(breakouts.mark(draft)).toBe(draft);
    }
  });

  it("takes nothing amiss for anything", () => {
    const breakouts = new Breakouts("bob");
    breakouts.hear({ type: "breakouts", open: true, rooms: [null, { number: "x", people: 7 }], help: {}, hosts: [1, "ada"] });
    expect(breakouts.state).toMatchObject({ open: true, how: "hand", hosts: ["ada"], endsAtMs: null, help: [] });
  });
});
