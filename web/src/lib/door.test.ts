import { describe, expect, it } from "vitest";
import { type Admission, ApiError, type Visitor } from "./api";
import { type Answer, enter } from "./door";

const VISITOR: Visitor = { name: "Bob", password: "", invitation: "", note: "", apart: false };
const INSIDE: Admission = { token: "in", url: "", identity: "guest_1", lasts: true, role: "guest", kind: "open", knock: "" };
const knocked = (knock: string): Admission => ({ ...INSIDE, token: `door ${knock}`, knock });

/** A door that says one thing after the other; the last one again and again. */
function doorWith(asked: (Admission | Error)[], answers: (Answer | Error)[] = []) {
  const seen = { asks: 0, polls: [] as string[], withdrawn: [] as string[], pauses: 0, waiting: 0, invitations: [] as string[] };
  const controller = new AbortController();
  const say = <Said>(said: (Said | Error)[], at: number): Promise<Said> => {
    const one = said[Math.min(at, said.length - 1)];
    if (one === undefined) throw new Error("nothing to say");
    return one instanceof Error ? Promise.reject(one) : Promise.resolve(one);
  };
  const entering = (visitor = { ...VISITOR }) =>
    enter(
      "den",
      visitor,
      { signal: controller.signal, onWaiting: () => (seen.waiting += 1) },
      {
        fetchToken: (_room, { invitation }) => {
          seen.invitations.push(invitation);
          return say(asked, seen.asks++);
        },
        fetchAnswer: (_room, { knock }) => {
          seen.polls.push(knock);
          return say(answers, seen.polls.length - 1);
        },
        withdraw: (_room, { knock }) => {
          seen.withdrawn.push(knock);
          return Promise.resolve();
        },
        pause: () => {
          seen.pauses += 1;
          return Promise.resolve();
        },
      },
    );
  return { seen, controller, entering };
}

const error = (code: string) => new ApiError(code, "");
const WAIT: Answer = { answer: "waiting" };
const IN: Answer = { answer: "admitted", admission: INSIDE };

describe("the door", () => {
  it("lets in at once where nothing is asked", async () => {
    const { seen, entering } = doorWith([INSIDE]);
    expect(await entering()).toBe(INSIDE);
    expect([seen.asks, seen.waiting]).toEqual([1, 0]);
  });

  it.each(["banned", "kicked", "room_locked", "wrong_password", "members_only", "unreachable"])("says %s at once", async (code) => {
    const { seen, entering } = doorWith([error(code)]);
    await expect(entering()).rejects.toMatchObject({ code });
    expect(seen.asks).toBe(1);
  });

  it("waits as long as it takes, and lets in", async () => {
    const { seen, entering } = doorWith([knocked("k1")], [WAIT, WAIT, IN]);
    expect(await entering()).toBe(INSIDE);
    expect([seen.asks, seen.polls, seen.waiting]).toEqual([1, ["k1", "k1", "k1"], 3]);
  });

  it("says that one was not let in", async () => {
    const { entering } = doorWith([knocked("k1")], [WAIT, { answer: "denied" }]);
    await expect(entering()).rejects.toMatchObject({ code: "denied" });
  });

  it("knocks again by itself when the server was away and has forgotten", async () => {
    const { seen, entering } = doorWith(
      [knocked("k1"), error("unreachable"), error("unavailable"), knocked("k2")],
      [error("unreachable"), error("knock_not_found"), WAIT, IN],
    );
    expect(await entering()).toBe(INSIDE);
    expect([seen.asks, seen.polls, seen.pauses]).toEqual([4, ["k1", "k1", "k2", "k2"], 3]);
  });

  it("goes on waiting no more when the room says no meanwhile", async () => {
    const { entering } = doorWith([knocked("k1"), error("banned")], [error("knock_not_found")]);
    await expect(entering()).rejects.toMatchObject({ code: "banned" });
  });

  it("takes the knock back when the person goes away", async () => {
    const { seen, controller, entering } = doorWith([knocked("k1")], [WAIT, WAIT, error("knock_not_found")]);
    const entered = entering();
    controller.abort();
    await expect(entered).rejects.toMatchObject({ code: "withdrawn" });
    expect(seen.withdrawn).toEqual(["k1"]);
  });

  it("shows an invitation once: a second time it would be over", async () => {
    const { seen, entering } = doorWith([knocked("k1"), INSIDE], [error("knock_not_found")]);
    await entering({ ...VISITOR, invitation: "secret" });
    expect(seen.invitations).toEqual(["secret", ""]);
  });
});
