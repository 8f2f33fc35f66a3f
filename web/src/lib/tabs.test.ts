import { describe, expect, it, vi } from "vitest";
import { DEFAULT_PREFS } from "./prefs";
import { type Channel, RoomTabs } from "./tabs";
import { parseVisit } from "./visit";

/** A browser's tabs: what one posts arrives at all others. */
function browser() {
  const open = new Map<string, Set<Channel>>();
  return (name: string): Channel => {
    const others = open.get(name) ?? new Set();
    open.set(name, others);
    const channel: Channel = {
      onmessage: null,
      postMessage: (data) => {
        for (const other of [...others]) if (other !== channel) other.onmessage?.({ data });
      },
      close: () => others.delete(channel),
    };
    others.add(channel);
    return channel;
  };
}

const handover = { token: "t", visit: { ...parseVisit(null, DEFAULT_PREFS), micOn: false } };

function pair(rooms = ["den", "den"]) {
  const connect = browser();
  const [first, second] = rooms.map((room) => new RoomTabs(room, connect)) as [RoomTabs, RoomTabs];
  first.open();
  return { first, second };
}

describe("RoomTabs", () => {
  it("knows of a call in a tab that was there before, and of its end", () => {
    const { first, second } = pair();
    first.enter(() => handover);
    second.open();
    expect([first.elsewhere, second.elsewhere]).toEqual([false, true]);
    first.close();
    expect(second.elsewhere).toBe(false);
  });

  it("knows of a call that begins later", () => {
    const { first, second } = pair();
    second.open();
    expect(second.elsewhere).toBe(false);
    first.enter(() => handover);
    expect(second.elsewhere).toBe(true);
  });

  it("does not mix up rooms", () => {
    const { first, second } = pair(["den", "hall"]);
    first.enter(() => handover);
    second.open();
    expect(second.elsewhere).toBe(false);
  });

  it("moves the call with its token and state", async () => {
    const { first, second } = pair();
    const giveUp = vi.fn(() => handover);
    first.enter(giveUp);
    second.open();
    expect(await second.takeOver()).toEqual(handover);
    expect(giveUp).toHaveBeenCalledOnce();
  });

  it("does not wait for a tab that is frozen", async () => {
    vi.useFakeTimers();
    const { second } = pair();
    second.open();
    const answer = second.takeOver();
    await vi.advanceTimersByTimeAsync(5000);
    expect(await answer).toBeNull();
    vi.useRealTimers();
  });
});
