import { describe, expect, it, vi } from "vitest";
import { TalkKey } from "./talkKey";

/** A microphone that is switched when the test says so. */
function slowMic(on = false) {
  const mic = {
    on,
    asked: [] as boolean[],
    go: [] as (() => void)[],
    isOn: () => mic.on,
    set: (wanted: boolean) => {
      mic.asked.push(wanted);
      return new Promise<void>((resolve) => {
        mic.go.push(() => {
          mic.on = wanted;
          resolve();
        });
      });
    },
    onProblem: vi.fn(),
    /** Lets what was asked for happen, and what follows from it. */
    settle: async () => {
      while (mic.go.length > 0) {
        mic.go.shift()?.();
        await new Promise((resolve) => setTimeout(resolve));
      }
    },
  };
  return mic;
}

describe("the talk key", () => {
  it("opens a muted microphone for as long as it is held", async () => {
    const mic = slowMic();
    const key = new TalkKey(mic);
    expect(key.press()).toBe(true);
    await mic.settle();
    expect(mic.on).toBe(true);
    expect(key.press()).toBe(true);
    expect(key.release()).toBe(true);
    await mic.settle();
    expect(mic.on).toBe(false);
    expect(mic.asked).toEqual([true, false]);
  });

  it("leaves an open microphone alone", async () => {
    const mic = slowMic(true);
    const key = new TalkKey(mic);
    expect(key.press()).toBe(false);
    expect(key.release()).toBe(false);
    await mic.settle();
    expect(mic.asked).toEqual([]);
  });

  it("mutes again when it was let go before the microphone was open", async () => {
    const mic = slowMic();
    const key = new TalkKey(mic);
    key.press();
    key.release();
    await mic.settle();
    expect(mic.on).toBe(false);
  });

  it("ends as the key does, however fast it was", async () => {
    const mic = slowMic();
    const key = new TalkKey(mic);
    for (let times = 0; times < 5; times++) {
      key.press();
      key.release();
    }
    key.press();
    await mic.settle();
    expect(mic.on).toBe(true);
    key.release();
    await mic.settle();
    expect(mic.on).toBe(false);
  });

  it("tells of a microphone that cannot be opened, and works when it can be again", async () => {
    const mic = slowMic();
    const set = mic.set;
    const fault = new Error("denied");
    mic.set = () => Promise.reject(fault);
    const key = new TalkKey(mic);
    key.press();
    await new Promise((resolve) => setTimeout(resolve));
    expect(mic.onProblem).toHaveBeenCalledExactlyOnceWith(fault);
    expect(key.release()).toBe(false);
    mic.set = set;
    expect(key.press()).toBe(true);
    await mic.settle();
    expect(mic.on).toBe(true);
  });
});
