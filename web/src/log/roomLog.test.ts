import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../lib/api";
import { type Entry, parseEntry } from "./entries";
import type { Pending } from "./outbox";
import { RoomLog } from "./roomLog";
import type { SyncOptions } from "./sync";

const ME = "guest_me";
let rooms = 0;

const raw = (seq: number, change: Record<string, unknown> = {}) => ({
  seq, verb: "message", from: "guest_bob", name: "Bob", at_ms: Date.now(), body: { text: `text ${seq}` }, ...change,
});
const entries = (...seqs: number[]) => seqs.map((seq) => parseEntry(raw(seq))).filter((one): one is Entry => one !== null);

function world({ newest = 0, unread = 0, readSeq = 0 } = {}) {
  const sent: Pending[] = [];
  const read: number[] = [];
  const asked: (number | null)[] = [];
  const server = { pages: new Map<number | null, Entry[]>(), newest, refusal: null as Error | null };
  const net = { options: null as SyncOptions | null, online: true, asks: 0, handed: [] as unknown[] };
  const news = { entries: [] as number[], knocks: [] as string[], refused: [] as string[], over: [] as string[] };
  const log = new RoomLog({
    room: `den ${rooms++}`,
    me: ME,
    token: () => Promise.resolve("t"),
    api: {
      page: (before) => {
        asked.push(before);
        if (server.refusal !== null) return Promise.reject(server.refusal);
        return Promise.resolve({ entries: server.pages.get(before) ?? [], newest: server.newest, more: before === null && newest > 3 });
      },
    },
    connect: (options) => {
      net.options = options;
      return {
        start: () => undefined,
        close: () => undefined,
        tryNow: () => undefined,
        write: (pending) => (net.online ? sent.push(pending) > 0 : false),
        read: (seq) => read.push(seq),
        typing: () => undefined,
        askHistory: () => void (net.asks += 1),
        handHistory: (question, handed) => net.handed.push([question, handed.map(({ body }) => (body as { text: string }).text)]),
      };
    },
  });
  log.listen({
    onEntry: ({ seq }) => news.entries.push(seq),
    onKnock: ({ name }) => news.knocks.push(name),
    onRefused: (code) => news.refused.push(code),
    onOver: (code) => news.over.push(code),
  });
  const hear = (type: string, message: Record<string, unknown> = {}) => net.options?.onMessage({ type, ...message });
  const open = async () => {
    net.options?.onOnline(true);
    hear("opened", { newest, unread, read_seq: readSeq, role: "moderator", title: "Choir", from: ME, policy: { entry: "knock" } });
    hear("reset", { newest });
    await vi.advanceTimersByTimeAsync(0);
  };
  const texts = () => log.state.lines.map(({ body }) => body?.text);
  return { log, sent, read, asked, server, net, news, hear, open, texts };
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000_000 });
  const kept = new Map<string, string>();
  vi.stubGlobal("window", {
    sessionStorage: {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    },
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a room that keeps nothing", () => {
  const policy = { keeps: "nothing", member_history: true };
  const handed = (said: string, change: Record<string, unknown> = {}) =>
    raw(0, { at_ms: Date.now() - 1000, body: { text: said }, from_member: "guest_eve", ...change });

  it("asks members once it is open, where the owner wants it", () => {
    const { hear, net } = world();
    for (const one of [policy, {}, { keeps: "nothing" }, { member_history: true }]) hear("opened", { newest: 0, from: ME, policy: one });
    expect(net.asks).toBe(1);
  });

  it("takes from a member what it has not, says so, and makes no news of it", () => {
    const { hear, texts, log, news } = world();
    hear("opened", { newest: 0, from: ME, policy });
    const mine = raw(0, { body: { text: "seen" } });
    hear("entry", mine);
    const others = [handed("later"), handed("before", { at_ms: 5 }), { ...mine, from_member: "guest_eve" }, handed("later")];
    hear("history", { from_member: "guest_eve", entries: others });
    expect(texts()).toEqual(["before", "later", "seen"]);
    expect(log.state.lines.map(({ entry }) => entry.fromMember)).toEqual(["guest_eve", "guest_eve", ""]);
    expect([news.entries.length, log.state.unread]).toEqual([1, 0]);
  });

  it("takes nothing that is no message, has a number, or is for one person", () => {
    const { hear, texts } = world();
    const bad = [
      handed("x", { seq: 3 }), handed("x", { verb: "edit", target: 1 }), handed("x", { from_member: "" }),
      handed("x", { to: ME }), handed("x", { target: 3 }), handed("x", { verb: "moderation" }), null, 7,
    ];
    hear("history", { entries: bad });
    hear("history", { entries: "no list" });
    expect(texts()).toEqual([]);
  });

  it("hands on the newest that fit, and neither what is over nor what is private", () => {
    const { hear, net } = world();
    const say = (said: string, change = {}) => {
      hear("entry", raw(0, { body: { text: said }, ...change }));
    };
    say("oldest", { at_ms: Date.now() - 10 });
    say("over", { expires_at_ms: Date.now() - 1 });
    say("private", { to: ME });
    say("gone", { body: null });
    say("two");
    say("three");
    hear("entry", raw(9, { body: { text: "kept" } }));
    hear("history_wanted", { question: "q", max_entries: 200, max_bytes: 60_000 });
    hear("history_wanted", { question: "r", max_entries: 2, max_bytes: 60_000 });
    hear("history_wanted", { question: "s", max_entries: 200, max_bytes: 2_150 });
    hear("history_wanted", {});
    expect(net.handed).toEqual([["q", ["oldest", "two", "three"]], ["r", ["two", "three"]], ["s", ["three"]], ["", []]]);
  });
});

describe("the log of a room", () => {
  it("knows how far others have read, and never goes back", async () => {
    const { hear, open, log } = world();
    await open();
    const marks = () => log.state.reads.map(({ name, seq }) => `${name} ${seq}`);
    hear("opened", { newest: 9, from: ME, reads: [{ from: "guest_bob", name: "Bob", seq: 4 }, { from: "guest_cem", name: "Cem", seq: 2 }] });
    hear("read", { from: "guest_bob", name: "Bob", seq: 7 });
    hear("read", { from: "guest_cem", name: "Cem", seq: 1 });
    hear("read", { from: "guest_eve", name: "Eve", seq: 3 });
    expect(marks()).toEqual(["Cem 2", "Bob 7", "Eve 3"]);
  });

  it("is not read before it is there", async () => {
    const { hear, open, server, read, log } = world({ newest: 3, unread: 2, readSeq: 1 });
    server.pages.set(null, entries(1, 2, 3));
    hear("opened", { newest: 3, unread: 2, read_seq: 1, from: ME });
    log.markRead();
    expect(log.state.unread).toBe(2);
    await open();
    log.markRead();
    await vi.advanceTimersByTimeAsync(1000);
    expect([log.state.unread, read]).toEqual([0, [3]]);
  });

  it("shows nothing any more of what the server says is gone, nor of its edits", async () => {
    const { hear, open, server, texts, log } = world({ newest: 3 });
    server.pages.set(null, entries(1, 2, 3));
    await open();
    hear("entry", raw(4, { verb: "edit", target: 2, body: { text: "better" } }));
    hear("entry", raw(5));
    expect([texts(), log.state.unread]).toEqual([["text 1", "better", "text 3", "text 5"], 1]);
    hear("gone", { seqs: [1, 2, 4, 5, 99] });
    expect([texts(), log.state.unread]).toEqual([[undefined, undefined, "text 3", undefined], 0]);
  });

  it("begins with the newest page, goes on live, and has older pages when they are wanted", async () => {
    const { log, asked, server, hear, open, texts, news } = world({ newest: 5 });
    server.pages.set(null, entries(4, 5));
    server.pages.set(4, entries(1, 2, 3));
    await open();
    expect([log.state.ready, log.state.more, log.state.title, log.state.role]).toEqual([true, true, "Choir", "moderator"]);
    hear("entry", raw(6));
    await log.loadOlder();
    await log.loadOlder();
    expect(asked).toEqual([null, 4]);
    expect(texts()).toEqual([1, 2, 3, 4, 5, 6].map((seq) => `text ${seq}`));
    expect(news.entries).toEqual([6]);
  });

  it("asks for what it missed from where it is, and starts over when it is told to", async () => {
    const { net, server, hear, open, texts } = world({ newest: 2 });
    expect(net.options?.since()).toBeNull();
    server.pages.set(null, entries(1, 2));
    await open();
    hear("entry", raw(3));
    expect(net.options?.since()).toBe(3);
    server.pages.set(null, entries(8, 9));
    server.newest = 9;
    hear("reset");
    expect(net.options?.since()).toBeNull();
    await vi.advanceTimersByTimeAsync(0);
    expect([texts(), net.options?.since()]).toEqual([["text 8", "text 9"], 9]);
  });

  it("tries again when the page does not come", async () => {
    const { log, server, open } = world({ newest: 1 });
    server.refusal = new ApiError("unreachable", "");
    await open();
    expect(log.state.ready).toBe(false);
    server.refusal = null;
    await vi.advanceTimersByTimeAsync(5000);
    expect(log.state.ready).toBe(true);
  });

  it("counts what is unread, and what is read is no longer", async () => {
    const { log, server, hear, open, read } = world({ newest: 3, unread: 2, readSeq: 1 });
    server.pages.set(null, entries(1, 2, 3));
    await open();
    expect([log.state.unread, log.state.newFrom]).toEqual([2, 1]);
    hear("entry", raw(4));
    hear("entry", raw(5, { from: ME }));
    hear("entry", raw(6, { verb: "moderation", body: { act: "kick" } }));
    expect(log.state.unread).toBe(3);
    log.markRead();
    expect(log.state.unread).toBe(0);
    hear("entry", raw(7));
    expect(log.state.unread).toBe(1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(read).toEqual([6]);
  });

  it("follows what entries say of the room", async () => {
    const { log, hear, open } = world();
    await open();
    hear("entry", raw(1, { verb: "policy", body: { locked: true, title: "Hall", password: true } }));
    expect([log.state.policy.locked, log.state.policy.entry, log.state.title]).toEqual([true, "knock", "Hall"]);
    expect("password" in log.state.policy).toBe(false);
    hear("knocks", { knocks: [{ knock_id: "k", name: "Eve", note: "" }] });
    hear("entry", raw(2, { verb: "moderation", body: { act: "role", who: ME, role: "guest" } }));
    expect([log.state.role, log.state.knocks]).toEqual(["guest", []]);
  });

  it("tells of a knock once", async () => {
    const { hear, open, news } = world();
    await open();
    const knocks = [{ knock_id: "1", name: "Bob", note: "" }];
    hear("knocks", { knocks });
    hear("knocks", { knocks: [...knocks, { knock_id: "2", name: "Eve", note: "" }] });
    expect(news.knocks).toEqual(["Bob", "Eve"]);
  });

  it("drops what is over while one looks on", async () => {
    const { hear, open, texts } = world();
    await open();
    hear("entry", raw(1, { expires_at_ms: Date.now() + 3000 }));
    expect(texts()).toEqual(["text 1"]);
    await vi.advanceTimersByTimeAsync(3100);
    expect(texts()).toEqual([undefined]);
  });

  it("goes by the server's clock and not by the one here", async () => {
    const { hear, open, texts } = world();
    await open();
    const far = 3_600_000;
    hear("entry", raw(1, { at_ms: Date.now() - far, expires_at_ms: Date.now() - far + 5000 }));
    expect(texts()).toEqual(["text 1"]);
    await vi.advanceTimersByTimeAsync(5100);
    expect(texts()).toEqual([undefined]);
  });

  it("shows who writes, until they have written or given up", async () => {
    const { log, hear, open } = world();
    await open();
    hear("typing", { from: "guest_bob", name: "Bob", on: true });
    hear("typing", { from: "guest_eve", name: "Eve", on: true });
    expect(log.state.typing.map(({ name }) => name)).toEqual(["Bob", "Eve"]);
    hear("entry", raw(1));
    expect(log.state.typing.map(({ name }) => name)).toEqual(["Eve"]);
    await vi.advanceTimersByTimeAsync(7000);
    expect(log.state.typing).toEqual([]);
  });
});

describe("what one writes", () => {
  it("waits until it is in the log, and is there once", async () => {
    const { log, sent, hear, open, texts } = world();
    await open();
    log.write({ verb: "message", body: { text: "hi" } });
    const id = sent[0]?.clientId ?? "";
    expect([log.state.pending.length, texts()]).toEqual([1, []]);
    hear("written", { client_id: id, seq: 1, at_ms: Date.now() });
    expect([log.state.pending.length, texts()]).toEqual([0, ["hi"]]);
    hear("entry", raw(1, { from: ME, client_id: id, body: { text: "hi" } }));
    expect(texts()).toEqual(["hi"]);
  });

  it("is sent again with the same id after the connection was gone, also from another page", async () => {
    const { log, sent, net, open } = world();
    await open();
    net.online = false;
    log.write({ verb: "message", body: { text: "hi" } });
    expect(sent).toEqual([]);
    net.online = true;
    net.options?.onOnline(true);
    net.options?.onOnline(true);
    expect(new Set(sent.map(({ clientId }) => clientId)).size).toBe(1);
    rooms -= 1; // The same room, after a reload.
    const { log: reloaded } = world();
    expect(reloaded.state.pending).toEqual(log.state.pending);
  });

  it("that the server is too busy for is sent again by itself", async () => {
    const { log, sent, hear, open } = world();
    await open();
    log.write({ verb: "message", body: { text: "hi" } });
    hear("refused", { client_id: sent[0]?.clientId, code: "rate_limited", retry_after_s: 2 });
    expect([sent.length, log.state.pending[0]?.failed]).toEqual([1, null]);
    await vi.advanceTimersByTimeAsync(2100);
    expect(sent.map(({ clientId }) => clientId)).toEqual([sent[0]?.clientId, sent[0]?.clientId]);
  });

  it("that is refused stays, says so, and can be tried again or given up; a reaction is just gone", async () => {
    const { log, sent, hear, open, news } = world();
    await open();
    log.write({ verb: "message", body: { text: "hi" } });
    log.write({ verb: "react", target: 1, body: { emoji: "👍" } });
    for (const { clientId } of [...sent]) hear("refused", { client_id: clientId, code: "forbidden" });
    expect(log.state.pending.map(({ verb, failed }) => [verb, failed])).toEqual([["message", "forbidden"]]);
    expect(news.refused).toEqual(["forbidden", "forbidden"]);
    const id = log.state.pending[0]?.clientId ?? "";
    log.retry(id);
    expect([sent.at(-1)?.clientId, log.state.pending[0]?.failed]).toEqual([id, null]);
    log.discard(id);
    expect(log.state.pending).toEqual([]);
  });
});
