import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../lib/api";
import { type Socket, Sync } from "./sync";

class FakeSocket implements Socket {
  sent: Record<string, unknown>[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  send(text: string) {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }
  close() {
    this.closed = true;
    this.onclose?.();
  }
  say(message: Record<string, unknown>) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

function world() {
  const sockets: FakeSocket[] = [];
  const seen = { online: [] as boolean[], over: [] as string[], messages: [] as string[], fresh: [] as boolean[] };
  const door = { refusal: null as Error | null, since: null as number | null };
  const sync = new Sync(
    {
      room: "den",
      token: (fresh) => {
        seen.fresh.push(fresh);
        return door.refusal === null ? Promise.resolve(`token ${seen.fresh.length}`) : Promise.reject(door.refusal);
      },
      since: () => door.since,
      onMessage: ({ type }) => seen.messages.push(type),
      onOnline: (online) => seen.online.push(online),
      onOver: (code) => seen.over.push(code),
    },
    () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
  );
  const open = async () => {
    await vi.advanceTimersByTimeAsync(25_000);
    const socket = sockets.at(-1);
    socket?.onopen?.();
    socket?.say({ type: "opened" });
    return socket;
  };
  return { sync, sockets, seen, door, open };
}

const message = { clientId: "c1", verb: "message", body: { text: "hi" }, atMs: 0, failed: null } as const;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the connection to the log", () => {
  it("opens the room from where the page is, with the token in a message", async () => {
    const { sync, sockets, door } = world();
    sync.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(sync.write(message)).toBe(false);
    sockets[0]?.onopen?.();
    expect(sockets[0]?.sent).toEqual([{ type: "open", room: "den", token: "token 1" }]);
    sockets[0]?.say({ type: "opened" });
    expect(sync.write(message)).toBe(true);
    expect(sockets[0]?.sent[1]).toEqual({ type: "write", room: "den", client_id: "c1", verb: "message", body: { text: "hi" } });
    door.since = 7;
    sockets[0]?.close();
    await vi.advanceTimersByTimeAsync(2000);
    sockets[1]?.onopen?.();
    expect(sockets[1]?.sent[0]).toMatchObject({ type: "open", since: 7 });
    sync.close();
  });

  it("comes back as often as it is lost, with growing pauses, and at once when told to", async () => {
    const { sync, sockets, seen, open } = world();
    sync.start();
    await open();
    for (let lost = 1; lost < 5; lost++) {
      sockets.at(-1)?.close();
      await vi.advanceTimersByTimeAsync(400);
      expect(sockets).toHaveLength(lost);
      await open();
    }
    expect(seen.online).toEqual([true, false, true, false, true, false, true, false, true]);
    sockets.at(-1)?.close();
    sync.tryNow();
    await vi.advanceTimersByTimeAsync(0);
    expect(sockets).toHaveLength(6);
    sync.close();
  });

  it("asks for another token when the server does not take this one", async () => {
    const { sync, sockets, seen, open } = world();
    sync.start();
    await open();
    sockets[0]?.say({ type: "closed", code: "unauthorized" });
    await open();
    expect(seen.fresh).toEqual([false, true]);
    sync.close();
  });

  it.each(["kicked", "banned", "room_not_found"])("ends when one is %s", async (code) => {
    const { sync, sockets, seen, open } = world();
    sync.start();
    await open();
    sockets[0]?.say({ type: "closed", code });
    await vi.advanceTimersByTimeAsync(300_000);
    expect([seen.over, sockets.length]).toEqual([[code], 1]);
  });

  it("ends when no new token is to be had, and waits when the server only is away", async () => {
    const { sync, sockets, seen, door } = world();
    door.refusal = new ApiError("unreachable", "");
    sync.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([seen.over, sockets.length]).toEqual([[], 0]);
    door.refusal = new ApiError("banned", "");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(seen.over).toEqual(["banned"]);
  });

  it("does not believe in a connection from which nothing comes", async () => {
    const { sync, sockets, open } = world();
    sync.start();
    await open();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(sockets[0]?.sent.at(-1)).toEqual({ type: "ping" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect([sockets[0]?.closed, sockets.length > 1]).toEqual([true, true]);
    sync.close();
  });

  it("is not troubled by what is no JSON", async () => {
    const { sync, sockets, seen, open } = world();
    sync.start();
    await open();
    sockets[0]?.onmessage?.({ data: "{" });
    sockets[0]?.say({ type: "entry" });
    expect(seen.messages).toEqual(["opened", "entry"]);
    sync.close();
  });
});
