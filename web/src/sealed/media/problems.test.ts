import { type Room, RoomEvent } from "livekit-client";
import { expect, it } from "vitest";
import { Problems } from "./problems";

it("an error about a frame from before the own key came is no problem of now", () => {
  const handlers = new Map<string, (error: Error, participant: { identity: string; isLocal: boolean }) => void>();
  const room = { on: (event: string, handler: never) => handlers.set(event, handler), off: () => undefined };
  const told: string[] = [];
  const problems = new Problems(
    room as unknown as Room,
    ({ kind }) => told.push(kind),
    () => told.push("healed"),
  );
  const fail = () => handlers.get(RoomEvent.EncryptionError)?.(new Error("MissingKey: none"), { identity: "ada", isLocal: true });
  fail();
  fail();
  expect(told).toEqual(["missing_key"]);
  problems.setOwn("ada", true);
  fail();
  expect(told).toEqual(["missing_key", "healed"]);
  problems.setOwn("ada", false);
  expect(told).toEqual(["missing_key", "healed", "missing_key"]);
});
