import { DisconnectReason, type Room, RoomEvent, Track } from "livekit-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Admission, ApiError, type Visitor } from "./api";
import type { DoorControl } from "./door";
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

const INSIDE: Admission = { token: "t", url: "", identity: "guest_1", lasts: true, role: "guest", kind: "open", knock: "" };

function world() {
  const rooms: FakeRoom[] = [];
  const sent: { micOn: boolean; cameraOn: boolean }[] = [];
  const server = { ready: true, asked: 0, refusal: null as Error | null, connected: Promise.resolve() };
  const door = { visitors: [] as Visitor[], answer: Promise.resolve(INSIDE), control: null as DoorControl | null };
  const visit = new Visit("den");
  const session = new Session("den", visit, {
    enter: (_room, visitor, control) => {
      door.visitors.push(visitor);
      door.control = control;
      return door.answer;
    },
    checkSeal: () => Promise.resolve(),
    createRoom: (choices) => {
      const room = new FakeRoom(choices);
      rooms.push(room);
      return Promise.resolve(room as unknown as Room);
    },
    connectRoom: () => (server.refusal === null ? server.connected : Promise.reject(server.refusal)),
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
  return { rooms, sent, server, door, visit, session, away };
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
    const { rooms, server, session } = world();
    let connect: () => void = () => undefined;
    server.connected = new Promise((resolve) => (connect = resolve));
    const joined = session.join();
    await vi.advanceTimersByTimeAsync(0);
    session.dispose();
    connect();
    await joined;
    expect(rooms[0]?.disconnected).toBeGreaterThan(0);
    expect(session.state.phase.kind).toBe("lobby");
  });
});

describe("a session at the door", () => {
  it("brings name, password and line, and says when one has to wait", async () => {
    const { door, visit, session } = world();
    visit.note({ name: "Ada" });
    let open: (admission: Admission) => void = () => undefined;
    door.answer = new Promise((resolve) => (open = resolve));
    const joined = session.join(undefined, { password: "sesame", note: "from the choir" });
    await vi.advanceTimersByTimeAsync(0);
    expect(door.visitors).toEqual([{ name: "Ada", password: "sesame", invitation: "", note: "from the choir", apart: false }]);
    door.control?.onWaiting();
    expect(session.state).toMatchObject({ joining: true, waiting: true, phase: { kind: "lobby" } });
    open(INSIDE);
    await joined;
    expect(session.state).toMatchObject({ joining: false, waiting: false, phase: { kind: "call" }, admission: INSIDE });
  });

  it("is a second participant of the same person when it joins without sound", async () => {
    const { door, session } = world();
    await session.join(undefined, { silent: true });
    expect(door.visitors[0]?.apart).toBe(true);
  });

  it("goes away when the person does, and can come again", async () => {
    const { door, session } = world();
    door.answer = new Promise((_, reject) => {
      setTimeout(() => {
        reject(new ApiError("withdrawn", ""));
      }, 10);
    });
    const joined = session.join();
    await vi.advanceTimersByTimeAsync(0);
    session.withdraw();
    expect(door.control?.signal.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(10);
    await joined;
    expect(session.state).toMatchObject({ joining: false, waiting: false, problem: null, phase: { kind: "lobby" } });
    door.answer = Promise.resolve(INSIDE);
    await session.join();
    expect(session.state.phase.kind).toBe("call");
  });

  it("opens the chat without the call, and says why not", async () => {
    const { rooms, door, session } = world();
    door.answer = Promise.reject(new ApiError("banned", ""));
    await session.openChat();
    expect(session.state).toMatchObject({ problem: "banned", phase: { kind: "lobby" } });
    door.answer = Promise.resolve(INSIDE);
    await session.openChat();
    expect([session.state.phase.kind, session.state.problem, rooms.length]).toEqual(["chat", null, 0]);
  });

  it("goes back to the device check with the sentence when the log is refused while the call is being connected", async () => {
    const { rooms, server, session } = world();
    let connect: () => void = () => undefined;
    server.connected = new Promise((resolve) => (connect = resolve));
    const joined = session.join();
    await vi.advanceTimersByTimeAsync(0);
    expect(session.state).toMatchObject({ joining: true, admission: INSIDE });
    session.putOut("sealed_link");
    connect();
    await joined;
    expect(session.state).toMatchObject({ joining: false, problem: "sealed_link", phase: { kind: "lobby" } });
    expect(rooms[0]?.disconnected).toBeGreaterThan(0);
  });

  it("does not enter the log with what it came in with the time before", async () => {
    const { door, session } = world();
    await session.openChat();
    session.withdraw();
    door.answer = new Promise(() => undefined);
    void session.join();
    await vi.advanceTimersByTimeAsync(0);
    expect(session.state).toMatchObject({ joining: true, admission: null });
  });

  it.each([
    ["kicked", "kicked", "kicked"],
    ["banned", "kicked", "banned"],
    ["room_not_found", "room_deleted", null],
  ])("that is told %s ends with %s and its sentence", async (code, reason, problem) => {
    const { rooms, session } = world();
    await session.join();
    session.putOut(code);
    expect(session.state).toMatchObject({ problem, phase: { kind: "ended", reason } });
    expect(rooms[0]?.disconnected).toBe(1);
  });
});
