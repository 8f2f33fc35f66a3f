import type { RemoteParticipant, Room } from "livekit-client";
import { describe, expect, it, vi } from "vitest";
import { type Bytes, random } from "../sealed/bytes";
import { LiveSeal } from "../sealed/liveSeal";
import { openChannel } from "./channel";

type OnData = (payload: Uint8Array, from?: RemoteParticipant, kind?: unknown, topic?: string) => void;

/** A room of which only the data packets are there; what it publishes is in `sent`. */
function roomOf(identity: string) {
  const sent: Bytes[] = [];
  const found: { hear?: OnData } = {};
  const room = {
    localParticipant: {
      identity,
      publishData: (payload: Bytes) => {
        sent.push(payload);
        return Promise.resolve();
      },
    },
    on: (event: string, listener: OnData) => {
      if (event === "dataReceived") found.hear = listener;
      return room;
    },
    off: () => room,
  };
  const deliver = (payload: Uint8Array, from: string, topic = "t") => found.hear?.(payload, { identity: from, sid: `PA_${from}` } as unknown as RemoteParticipant, 0, topic);
  return { room: room as unknown as Room, sent, deliver };
}

function sealOf(keys: Record<number, Bytes>, now: number): LiveSeal {
  const key = keys[now];
  return new LiveSeal({ find: (group, epoch) => (group === "g" ? (keys[epoch] ?? null) : null) }, () => (key === undefined ? null : { group: "g", epoch: now, key }));
}

describe.each(["open", "sealed"])("a channel of an %s room", (kind) => {
  const keys = { 1: random(32), 2: random(32) };
  const seal = (now: number) => (kind === "sealed" ? sealOf(keys, now) : null);

  it("brings what was sent, in its order, and nothing twice", async () => {
    const [bob, ada] = [roomOf("bob"), roomOf("ada")];
    const heard: unknown[] = [];
    openChannel(ada.room, "t", seal(2), (from, message) => heard.push([from.identity, message]));
    const channel = openChannel(bob.room, "t", seal(1), () => undefined);
    for (let n = 0; n < 5; n++) void channel.send({ n });
    await expect(channel.send({ n: 5 })).resolves.toBe(true);
    for (const payload of [...bob.sent, ...bob.sent]) ada.deliver(payload, "bob");
    await channel.send({ n: 6 });
    const last = bob.sent.at(-1) ?? new Uint8Array();
    ada.deliver(last, "bob", "another topic");
    ada.deliver(random(300), "bob");
    ada.deliver(last, "bob");
    await vi.waitFor(() => {
      expect(heard.length).toBeGreaterThanOrEqual(7);
    });
    expect(heard).toEqual([0, 1, 2, 3, 4, 5, 6].map((n) => ["bob", { n }]));
  });
});

describe("a channel of a sealed room", () => {
  const keys = { 1: random(32) };

  it("believes nothing that is not sealed, that another sent, or that is under another key", async () => {
    const [bob, ada, plain] = [roomOf("bob"), roomOf("ada"), roomOf("bob")];
    const heard = vi.fn();
    openChannel(ada.room, "t", sealOf(keys, 1), heard);
    await openChannel(bob.room, "t", sealOf(keys, 1), () => undefined).send({ hello: 1 });
    await openChannel(plain.room, "t", null, () => undefined).send({ hello: 2 });
    const stranger = roomOf("bob");
    await openChannel(stranger.room, "t", sealOf({ 1: random(32) }, 1), () => undefined).send({ hello: 3 });
    const [sealed = new Uint8Array()] = bob.sent;
    ada.deliver(sealed, "eve");
    for (const payload of [...plain.sent, ...stranger.sent]) ada.deliver(payload, "bob");
    expect(new TextDecoder().decode(sealed)).not.toContain("hello");
    ada.deliver(sealed, "bob");
    // They are heard one after the other.
    await vi.waitFor(() => {
      expect(heard).toHaveBeenCalled();
    });
    expect(heard.mock.calls.map(([from, message]: unknown[]) => [(from as RemoteParticipant).identity, message])).toEqual([["bob", { hello: 1 }]]);
  });

  it("sends nothing without a key", async () => {
    const bob = roomOf("bob");
    await expect(openChannel(bob.room, "t", sealOf({}, 1), () => undefined).send({})).resolves.toBe(false);
    expect(bob.sent).toEqual([]);
  });
});
