import { describe, expect, it } from "vitest";
import { type Outcomes, reportOf, runCheck, STEPS, type Surroundings, wordOf } from "./check";

const WELL: Surroundings = {
  canCall: () => true,
  isServerReady: () => Promise.resolve(true),
  tryDevice: () => Promise.resolve(null),
  tryCall: () => Promise.resolve({ path: "udp" }),
};

async function check(change: Partial<Surroundings>): Promise<Outcomes> {
  const outcomes: Outcomes = {};
  await runCheck({ ...WELL, ...change }, (step, outcome) => {
    outcomes[step] = outcome;
  });
  return outcomes;
}

const words = (outcomes: Outcomes) => STEPS.map((step) => wordOf(outcomes[step] ?? { state: "running" }));

describe("a check", () => {
  it("is good all along where a call would be", async () => {
    expect(words(await check({}))).toEqual(["good", "good", "good", "good", "good", "good"]);
  });

  it("goes on after a device that does not open", async () => {
    const tryDevice = (step: string) => Promise.resolve(step === "camera" ? ("busy" as const) : null);
    expect(words(await check({ tryDevice }))).toEqual(["good", "good", "failed (busy)", "good", "good", "good"]);
  });

  it.each([{ canCall: () => false }, { isServerReady: () => Promise.resolve(false) }])("tries no call without browser and server", async (change) => {
    const outcomes = await check({ ...change, tryCall: () => Promise.reject(new Error("tried")) });
    expect(words(outcomes).slice(4)).toEqual(["skipped", "skipped"]);
    expect(words(outcomes).slice(0, 2)).toContain("bad");
  });

  it.each(["tcp", "relay"] as const)("says that %s is a detour", async (path) => {
    expect(words(await check({ tryCall: () => Promise.resolve({ path }) })).slice(4)).toEqual(["good", `slow (${path})`]);
  });

  it("tells a call that is refused from one whose media do not get through", async () => {
    const refused = await check({ tryCall: () => Promise.resolve({ problem: "guests_disabled" }) });
    expect(words(refused).slice(4)).toEqual(["failed (guests_disabled)", "skipped"]);
    const blocked = await check({ tryCall: () => Promise.resolve({ problem: "media_blocked" }) });
    expect(words(blocked).slice(4)).toEqual(["good", "failed (media_blocked)"]);
  });
});

describe("the report", () => {
  it("has a line for each step that was taken", async () => {
    const outcomes = await check({ tryCall: () => Promise.resolve({ path: "relay" }) });
    expect(reportOf(outcomes, "https://meet.example", "Browser/1", new Date(0))).toBe(
      [
        "Check of https://meet.example at 1970-01-01T00:00:00.000Z",
        "browser: good", "server: good", "camera: good", "mic: good", "call: good", "media: slow (relay)", "agent: Browser/1",
      ].join("\n"),
    );
  });
});
