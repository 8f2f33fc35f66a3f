import { type Participant, type Room, Track } from "livekit-client";
import { describe, expect, it, vi } from "vitest";
import type { InCall, Session, SessionState } from "../lib/session";
import type { Visit } from "../lib/visit";
import { CommandError, MAX_ENDPOINT_BYTES, runCommand, type Target } from "./commands";
import { type Embedding, openEmbedding } from "./embedding";
import { type Heard, isAllowed, readCommand } from "./messages";
import type { CallParts, VisitParts } from "./parts";
import { readWishes, type Wishes } from "./wishes";

const HOME = "https://home.example";
const WISHES: Wishes = { parent: HOME, name: "Ada", micOn: false, cameraOn: null, prejoin: false };

describe("who may talk", () => {
  it.each([
    [HOME, [HOME], true],
    ["https://home.example:8443", [HOME], false],
    ["https://home.example:8443", ["https://home.example:8443"], true],
    [HOME, ["https://home.example:443"], true],
    ["http://home.example", [HOME], false],
    [HOME, ["HTTPS://Home.Example"], true],
    ["https://a.home.example", ["https://*.home.example"], true],
    [HOME, ["https://*.home.example"], false],
    ["https://evilhome.example", ["https://*.home.example"], false],
    ["https://home.example.evil.example", [HOME], false],
    ["https://evil.example/.home.example", ["https://*.home.example"], false],
    ["null", [HOME, "null"], false],
    ["", [], false],
    [HOME, [], false],
  ])("%s of %j: %s", (origin, allowed, answer) => {
    expect(isAllowed(origin, allowed)).toBe(answer);
  });

  const parent = {};
  const heard = (part: Partial<Heard>): Heard => ({ source: parent, origin: HOME, data: { ting: "command", name: "hangup" }, ...part });
  it.each([
    ["another window", heard({ source: {} }), null],
    ["another origin", heard({ origin: "https://evil.example" }), null],
    ["something else", heard({ data: { type: "webpackOk" } }), null],
    ["no object", heard({ data: "hangup" }), null],
    ["no name", heard({ data: { ting: "command" } }), "malformed"],
    ["a name that is none", heard({ data: { ting: "command", name: "a b" } }), "malformed"],
    ["a long name", heard({ data: { ting: "command", name: "a".repeat(65) } }), "malformed"],
    ["arguments that are none", heard({ data: { ting: "command", name: "hangup", args: "x" } }), "malformed"],
    ["nine arguments", heard({ data: { ting: "command", name: "hangup", args: Array(9).fill(0) } }), "malformed"],
    ["a command", heard({}), { name: "hangup", args: [] }],
  ])("reads %s", (_what, message, answer) => {
    expect(readCommand(message, parent, HOME)).toEqual(answer);
  });
});

it("wishes come from the address, and only where a page wants to talk", () => {
  expect(readWishes("?debug=1", "#name=Ada")).toBeNull();
  expect(readWishes("?embed=", "#name=Ada")).toBeNull();
  expect(readWishes("?embed=https%3A%2F%2Fhome.example&prejoin=0", "#name=Ada&mic=0")).toEqual(WISHES);
  expect(readWishes(`?embed=${HOME}`, `#name=${"a".repeat(70)}&camera=1`)).toEqual({
    ...WISHES, name: "a".repeat(64), micOn: null, cameraOn: true, prejoin: true,
  });
});

function visitParts() {
  const visit = { state: { name: "" }, note: vi.fn((change: object) => Object.assign(visit.state, change)) };
  const session = { leave: vi.fn(), withdraw: vi.fn(), join: vi.fn() };
  const parts = { roomName: "choir", session: session as unknown as Session, visit: visit as unknown as Visit };
  return { parts: parts satisfies VisitParts, session, visit };
}

function person(identity: string, name: string, local = false, role = "guest"): Participant {
  return { identity, name, isLocal: local, attributes: { "ting.role": role } } as unknown as Participant;
}

function callParts(others: Participant[] = [], part: Partial<CallParts> = {}) {
  const ada = person("ada", "Ada", true);
  const publishData = vi.fn(() => Promise.resolve());
  const room = { on: () => room, off: () => room, localParticipant: Object.assign(ada, { publishData }) };
  const media = { micOn: true, cameraOn: false, screenOn: false, toggleMic: vi.fn() };
  const chat = { messages: [], received: 0, send: vi.fn(() => Promise.resolve()) };
  const view = { layout: "grid", toggleLayout: vi.fn() };
  const base = { room: room as unknown as Room, participants: [ada, ...others], media, chat, view, hand: null, title: "choir", live: null, log: null, pin: vi.fn() };
  return { parts: { ...base, ...part } as unknown as CallParts, media, publishData, view };
}

function frame() {
  const sent: { message: Record<string, unknown>; to: string }[] = [];
  let listener: (event: Heard) => void = () => undefined;
  const parent = {
    postMessage: (message: unknown, to: string) => {
      sent.push({ message: message as Record<string, unknown>, to });
    },
  };
  const hear = (name: unknown, ...args: unknown[]) => {
    listener({ source: parent, origin: HOME, data: { ting: "command", name, args } });
  };
  const events = () => sent.flatMap(({ message }) => (message.ting === "event" ? [[message.name, message.data] as [string, Record<string, unknown>]] : []));
  const window = {
    parent,
    addEventListener: (_type: "message", heard: (event: Heard) => void) => {
      listener = heard;
    },
  };
  return { window, sent, events, hear, post: (event: Partial<Heard>) => { listener({ source: parent, origin: HOME, data: {}, ...event }); } };
}

function opened(): ReturnType<typeof frame> & { embedding: Embedding } {
  const around = frame();
  const embedding = openEmbedding(WISHES, [HOME], around.window);
  if (embedding === null) throw new Error("it is allowed");
  return { ...around, embedding };
}

describe("an embedded page", () => {
  it("says nothing to a page that is not allowed, and does not listen", () => {
    const { window, sent } = frame();
    const listens = vi.spyOn(window, "addEventListener");
    expect(openEmbedding(WISHES, ["https://other.example"], window)).toBeNull();
    expect(sent).toEqual([]);
    expect(listens).not.toHaveBeenCalled();
  });

  it("sends to the allowed origin alone", () => {
    const { embedding, sent } = opened();
    embedding.begin(visitParts().parts);
    embedding.showCall(callParts().parts);
    expect(new Set(sent.map(({ to }) => to))).toEqual(new Set([HOME]));
  });

  it("answers what it cannot read or do, and nobody else", () => {
    const { embedding, events, hear, post } = opened();
    hear("hangup");
    expect(events().at(-1)?.[1]).toMatchObject({ name: "ting.not_ready" });
    embedding.begin(visitParts().parts);
    const before = events().length;
    post({ origin: "https://evil.example", data: { ting: "command", name: "" } });
    post({ source: {}, data: { ting: "command", name: "" } });
    expect(events()).toHaveLength(before);
    hear("");
    expect(events().at(-1)).toEqual(["errorOccurred", expect.objectContaining({ name: "ting.malformed", isFatal: false })]);
  });

  it("tells once what a device does not do, from the beginning and later", () => {
    const { embedding, events } = opened();
    embedding.begin(visitParts().parts);
    const call: InCall = {
      kind: "call", room: callParts().parts.room, problems: [{ source: Track.Source.Microphone, problem: "denied" }], pending: new Set(), away: null, silent: false,
    };
    const state: SessionState = { phase: call, joining: false, waiting: false, problem: null, admission: null };
    embedding.showSession(state);
    embedding.showSession({ ...state, waiting: true });
    embedding.failDevice(Track.Source.ScreenShare, "busy");
    const errors = events().filter(([name]) => name === "errorOccurred").map(([, data]) => (data as { name: string }).name);
    expect(errors).toEqual(["ting.microphone_denied", "ting.screen_share_busy"]);
  });

  it("takes the wishes once, and goes in directly only with a name", () => {
    const { embedding } = opened();
    const { parts, visit } = visitParts();
    expect(embedding.begin(parts)).toEqual({ direct: true });
    expect(visit.note).toHaveBeenCalledWith({ name: "Ada", micOn: false });
    expect(embedding.begin(parts)).toEqual({ direct: false });
    const nameless = frame();
    expect(openEmbedding({ ...WISHES, name: "" }, [HOME], nameless.window)?.begin(visitParts().parts)).toEqual({ direct: false });
    expect(nameless.events()[0]?.[1]).toMatchObject({ name: "ting.name_missing" });
  });

  it("tells what differs from before", () => {
    const { embedding, events, sent } = opened();
    embedding.begin(visitParts().parts);
    const call = callParts([person("bob", "Bob")]);
    embedding.showCall(call.parts);
    expect(events()).toContainEqual(["videoConferenceJoined", { roomName: "choir", id: "ada", displayName: "Ada", breakoutRoom: false }]);
    expect(events()).toContainEqual(["participantJoined", { id: "bob", displayName: "Bob", formattedDisplayName: "Bob" }]);
    expect(events()).toContainEqual(["audioMuteStatusChanged", { muted: false }]);
    expect(sent.findLast(({ message }) => message.ting === "state")?.message.state).toMatchObject({ joined: true, audioMuted: false, videoMuted: true });
    const count = events().length;
    embedding.showCall({ ...call.parts });
    expect(events()).toHaveLength(count);
    embedding.showCall({ ...call.parts, participants: [call.parts.room.localParticipant, person("cem", "Cem", false, "owner")] });
    expect(events().slice(count).map(([name]) => name)).toEqual(["participantLeft", "participantJoined", "participantRoleChanged"]);
    embedding.leaveCall();
    expect(events().at(-1)).toEqual(["videoConferenceLeft", { roomName: "choir" }]);
  });

  it("keeps what is said in a sealed room", () => {
    const said = { id: "1", identity: "bob", name: "Bob", text: "secret", atMs: 0, own: false };
    const chat = { messages: [said], received: 1, send: vi.fn() };
    for (const [live, told] of [[null, 1], [{ sealed: {}, log: { listen: () => () => undefined } }, 0]] as const) {
      const { embedding, events } = opened();
      embedding.begin(visitParts().parts);
      embedding.showCall(callParts([], { chat, live: live as unknown as CallParts["live"] }).parts);
      expect(events().filter(([name]) => name === "incomingMessage")).toHaveLength(told);
    }
  });

  it("tells why one does not come in, and why a call ended", () => {
    const { embedding, events } = opened();
    const state: SessionState = { phase: { kind: "lobby" }, joining: false, waiting: false, problem: null, admission: null };
    embedding.showSession(state);
    embedding.showSession({ ...state, problem: "password_needed" });
    embedding.showSession({ ...state, problem: "room_full" });
    embedding.showSession({ ...state, phase: { kind: "ended", reason: "unreachable" } });
    expect(events().map(([name, { name: which }]) => which ?? name)).toEqual(["passwordRequired", "ting.room_full", "ting.unreachable", "readyToClose"]);
  });
});

describe("commands", () => {
  const target = (part: Partial<Target> = {}): Target => ({ visit: visitParts().parts, call: callParts().parts, tell: vi.fn(), ...part });
  it.each([
    ["no such command", "startRecording", [], "unknown_command"],
    ["no method of objects", "toString", [], "unknown_command"],
    ["no lobby in a mere call", "toggleLobby", [true], "not_lasting"],
    ["no hands in a mere call", "toggleRaiseHand", [], "not_lasting"],
    ["no text", "sendChatMessage", [7], "invalid_argument"],
    ["a long text", "sendChatMessage", ["a".repeat(4001)], "invalid_argument"],
    ["many bytes", "sendEndpointTextMessage", ["", "ü".repeat(MAX_ENDPOINT_BYTES / 2 + 1)], "invalid_argument"],
    ["somebody who is not here", "pinParticipant", ["nobody"], "unknown_participant"],
    ["a name that may not change", "displayName", ["Bea"], "forbidden"],
  ])("refuse %s", async (_what, name, args, code) => {
    const failed: unknown = await runCommand(target(), name, args).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CommandError);
    expect((failed as CommandError).code).toBe(code);
  });

  it("need the call, except for those that end it or come before it", async () => {
    const outside = visitParts();
    const tell = vi.fn();
    const at = target({ visit: outside.parts, call: null, tell });
    await expect(runCommand(at, "toggleAudio", [])).rejects.toMatchObject({ code: "not_joined" });
    await runCommand(at, "displayName", ["Bea"]);
    expect(outside.visit.note).toHaveBeenCalledWith({ name: "Bea" });
    await runCommand(at, "password", ["sesame"]);
    expect(outside.session.join).toHaveBeenCalledWith(undefined, { password: "sesame" });
    await runCommand(at, "hangup", []);
    expect(outside.session.withdraw).toHaveBeenCalled();
    expect(tell).toHaveBeenCalledWith("readyToClose", {});
  });

  it.each([
    ["open", true, ["knock"]],
    ["password", true, ["knock"]],
    ["knock", false, ["open"]],
    ["password", false, []],
    ["members", false, []],
  ])("of a room with entry %s: lobby %s makes it %j", async (entry, wanted, made) => {
    const change = vi.fn<(change: { policy: { entry: string } }) => Promise<void>>(() => Promise.resolve());
    const live = { sealed: null, api: { change }, log: { state: { policy: { entry } } } } as unknown as CallParts["live"];
    await runCommand(target({ call: callParts([], { live }).parts }), "toggleLobby", [wanted]);
    expect(change.mock.calls.map(([{ policy }]) => policy.entry)).toEqual(made);
  });

  it("act on the call", async () => {
    const { parts, media, publishData, view } = callParts([person("bob", "Bob")]);
    const at = target({ call: parts });
    await runCommand(at, "toggleAudio", []);
    expect(media.toggleMic).toHaveBeenCalledOnce();
    await runCommand(at, "setTileView", [true]);
    expect(view.toggleLayout).not.toHaveBeenCalled();
    await runCommand(at, "setTileView", [false]);
    expect(view.toggleLayout).toHaveBeenCalledOnce();
    await runCommand(at, "pinParticipant", ["bob"]);
    expect(parts.pin).toHaveBeenCalledWith({ kind: "person", identity: "bob" });
    await runCommand(at, "sendEndpointTextMessage", ["bob", "hello"]);
    expect(publishData).toHaveBeenCalledWith(new TextEncoder().encode("hello"), { reliable: true, topic: "ting.endpoint", destinationIdentities: ["bob"] });
  });
});
