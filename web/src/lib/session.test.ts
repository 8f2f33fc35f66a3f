import { DisconnectReason, type Room, RoomEvent, Track } from "livekit-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "./api";
import { Session } from "./session";
import { Visit } from "./visit";

type Listener = (...values: unknown[]) => void;

class FakeRoom {
  readonly listeners = new Map<string, Listener[]>();
  disconnected = 0;
  constructor(readonly choices: unknown) {}
  on(event: string, listener: Listener) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
  }
  emit(event: string, ...values: unknown[]) {
    for (const listener of this.listeners.get(event) ?? []) listener(...values);
  }
  disconnect() {
    this.disconnected += 1;
    return Promise.resolve();
  }
}

function world() {
  const rooms: FakeRoom[] = [];
  const sent: { micOn: boolean; cameraOn: boolean }[] = [];
  const server = { ready: true, asked: 0, refusal: null as Error | null };
  const visit = new Visit("den");
  const session = new Session("den", visit, {
    createRoom: (choices) => {
      const room = new FakeRoom(choices);
      rooms.push(room);
      return room as unknown as Room;
    },
    connectRoom: () => (server.refusal === null ? Promise.resolve() : Promise.reject(server.refusal)),
    publishChoices: (_room, choices, _tracks, { onSettled }) => {
      const { micOn, cameraOn } = choices();
      sent.push({ micOn, cameraOn });
      onSettled(Track.Source.Microphone);
      onSettled(Track.Source.Camera);
      return Promise.resolve();
    },
    isServerReady: () => {
      server.asked += 1;
      return Promise.resolve(server.ready);
    },
  });
  const away = () => (session.state.phase.kind === "call" ? session.state.phase.away : undefined);
  return { rooms, sent, server, visit, session, away };
}

const LONGEST_MS = 20_000;
const shutdown = (room: FakeRoom | undefined) => room?.emit(RoomEvent.Disconnected, DisconnectReason.SERVER_SHUTDOWN);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a session whose server restarts", () => {
  it("stays in the call, asks until the server is ready, and comes back muted as it was", async () => {
    const { rooms, sent, server, visit, session, away } = world();
    visit.note({ micOn: true, cameraOn: true, micId: "" });
    await session.join();
    visit.choose({ micOn: false, micId: "headset" });
    server.ready = false;
    shutdown(rooms[0]);
    expect(away()).toBe("server_shutdown");
    await vi.advanceTimersByTimeAsync(2 * LONGEST_MS);
    expect(server.asked).toBeGreaterThan(3);
    expect([away(), rooms.length]).toEqual(["server_shutdown", 1]);
    server.ready = true;
    await vi.advanceTimersByTimeAsync(LONGEST_MS);
    expect([away(), rooms.length]).toEqual([null, 2]);
    expect(sent).toEqual([
      { micOn: true, cameraOn: true },
      { micOn: false, cameraOn: true },
    ]);
    expect(rooms[1]?.choices).toMatchObject({ micId: "headset" });
  });

  it("tries at once when it is told to, for example because the network is back", async () => {
    const { rooms, session, away } = world();
    await session.join();
    rooms[0]?.emit(RoomEvent.Disconnected, undefined);
    expect(away()).toBe("unreachable");
    session.tryNow();
    await vi.advanceTimersByTimeAsync(0);
    expect(away()).toBeNull();
  });

  it("ends with a sentence when coming back is refused for good", async () => {
    const { rooms, server, session } = world();
    await session.join();
    server.refusal = new ApiError("room_full", "");
    shutdown(rooms[0]);
    await vi.advanceTimersByTimeAsync(LONGEST_MS);
    expect(session.state).toMatchObject({ phase: { kind: "ended", reason: "server_shutdown" }, problem: "room_full" });
    const { asked } = server;
    await vi.advanceTimersByTimeAsync(10 * LONGEST_MS);
    expect(server.asked).toBe(asked);
  });

  it("goes on trying when the refusal passes", async () => {
    const { rooms, server, session, away } = world();
    await session.join();
    server.refusal = new ApiError("unavailable", "");
    shutdown(rooms[0]);
    await vi.advanceTimersByTimeAsync(LONGEST_MS);
    expect(away()).toBe("server_shutdown");
    server.refusal = null;
    await vi.advanceTimersByTimeAsync(LONGEST_MS);
    expect(away()).toBeNull();
  });

  it("stops trying when the person leaves", async () => {
    const { rooms, server, session } = world();
    await session.join();
    server.ready = false;
    shutdown(rooms[0]);
    session.leave();
    await vi.advanceTimersByTimeAsync(10 * LONGEST_MS);
    expect(session.state.phase).toEqual({ kind: "ended", reason: null });
    expect(server.asked).toBe(0);
  });
});

describe("a session that is ended on purpose", () => {
  it.each([
    [DisconnectReason.PARTICIPANT_REMOVED, "kicked"],
    [DisconnectReason.DUPLICATE_IDENTITY, "duplicate"],
    [DisconnectReason.ROOM_DELETED, "room_ended"],
  ])("by %s does not come back by itself", async (reason, expected) => {
    const { rooms, server, session } = world();
    await session.join();
    rooms[0]?.emit(RoomEvent.Disconnected, reason);
    await vi.advanceTimersByTimeAsync(LONGEST_MS);
    expect(session.state.phase).toEqual({ kind: "ended", reason: expected });
    expect(server.asked).toBe(0);
  });
});

describe("a session in the call", () => {
  it("notes who was muted by a host, and not what happens to others", async () => {
    const { rooms, visit, session } = world();
    visit.note({ micOn: true, cameraOn: true });
    await session.join();
    rooms[0]?.emit(RoomEvent.TrackMuted, { source: Track.Source.Camera }, { isLocal: false });
    rooms[0]?.emit(RoomEvent.TrackMuted, { source: Track.Source.Microphone }, { isLocal: true });
    expect([visit.state.micOn, visit.state.cameraOn]).toEqual([false, true]);
  });

  it("hangs up when the page went while it connected", async () => {
    const { rooms, session } = world();
    const joined = session.join();
    session.dispose();
    await joined;
    expect(rooms[0]?.disconnected).toBeGreaterThan(0);
    expect(session.state.phase.kind).toBe("lobby");
  });
});
