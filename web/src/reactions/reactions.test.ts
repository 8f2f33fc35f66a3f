import type { RemoteParticipant, Room } from "livekit-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { utf8 } from "../sealed/bytes";
import { MAX_SHOWN, RATE, Reactions, SHOWN_MS } from "./reactions";

type OnData = (payload: Uint8Array, from: RemoteParticipant, kind: undefined, topic: string) => void;

/** Reactions of a call, what it publishes, and what comes in as another page could send it. */
function callOf() {
  const sent: unknown[] = [];
  const found: { hear?: OnData } = {};
  const room = {
    localParticipant: {
      identity: "me",
      name: "Me",
      publishData: (payload: Uint8Array) => {
        sent.push((JSON.parse(new TextDecoder().decode(payload)) as { message: unknown }).message);
        return Promise.resolve();
      },
    },
    on: (event: string, listener: OnData) => {
      if (event === "dataReceived") found.hear = listener;
      return room;
    },
    off: () => room,
  };
  const reactions = new Reactions(room as unknown as Room, null);
  const close = reactions.open();
  let n = 0;
  const hear = async (from: string, message: unknown) => {
    n += 1;
    found.hear?.(utf8(JSON.stringify({ n, message })), { identity: from, name: from, sid: from } as unknown as RemoteParticipant, undefined, "ting.react");
    await vi.advanceTimersByTimeAsync(0);
  };
  const counts = () => reactions.shown.map(({ identity, emoji, count }) => [identity, emoji, count]);
  return { reactions, sent, hear, counts, close };
}

describe("reactions", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("are one line for each person and kind, which goes some seconds after its last", async () => {
    const { reactions, hear, counts } = callOf();
    await hear("ana", { emoji: "clap" });
    await hear("ben", { emoji: "clap" });
    await vi.advanceTimersByTimeAsync(SHOWN_MS - 1000);
    await hear("ana", { emoji: "clap" });
    await hear("ana", { emoji: "heart" });
    expect(counts()).toEqual([["ana", "clap", 2], ["ben", "clap", 1], ["ana", "heart", 1]]);
    expect([reactions.newestOf("ana"), reactions.newestOf("cleo")]).toEqual(["heart", null]);
    await vi.advanceTimersByTimeAsync(1001);
    expect(counts()).toEqual([["ana", "clap", 2], ["ana", "heart", 1]]);
    await vi.advanceTimersByTimeAsync(SHOWN_MS);
    expect(counts()).toEqual([]);
  });

  it("are sent no faster than they may be", async () => {
    const { reactions, sent } = callOf();
    const tries = () => Array.from({ length: 50 }, () => reactions.send("heart")).filter((done) => done).length;
    expect(tries()).toBe(RATE.atOnce);
    await vi.advanceTimersByTimeAsync(2 * RATE.everyMs);
    expect(tries()).toBe(2);
    await vi.advanceTimersByTimeAsync(0);
    expect(sent).toEqual(Array.from({ length: RATE.atOnce + 2 }, () => ({ emoji: "heart" })));
  });

  it("of somebody who sends more are not shown, and those of the others are", async () => {
    const { hear, counts } = callOf();
    for (let time = 0; time < 50; time++) await hear("mallory", { emoji: "party" });
    await hear("ana", { emoji: "wow" });
    expect(counts()).toEqual([["mallory", "party", 2 * RATE.atOnce], ["ana", "wow", 1]]);
  });

  it("are so many at most, and of those that there are", async () => {
    const { hear, counts } = callOf();
    for (const bad of [{ emoji: "constructor" }, { emoji: "👍" }, { emoji: ["clap"] }, "clap", null, {}]) await hear("mallory", bad);
    expect(counts()).toEqual([]);
    for (let person = 0; person < MAX_SHOWN + 3; person++) await hear(`p${person}`, { emoji: "clap" });
    expect(counts().map(([identity]) => identity)).toEqual(Array.from({ length: MAX_SHOWN }, (_, at) => `p${at + 3}`));
  });

  it("end with the call", async () => {
    const { reactions, hear, counts, close } = callOf();
    await hear("ana", { emoji: "clap" });
    close();
    expect(counts()).toEqual([]);
    expect(reactions.send("clap")).toBe(false);
  });
});
