/** What the page around the frame may ask for. Whatever does not work says so: the caller makes an event of the error. */

import { ApiError } from "../lib/api";
import { MAX_MESSAGE_LENGTH } from "../lib/chat";
import { memberOf, type RoomLive } from "../room/RoomLive";
import type { CallParts, VisitParts } from "./parts";

/** The topic of data messages between the pages around frames. */
export const ENDPOINT_TOPIC = "ting.endpoint";
/** As one data message may be; some of it is for the envelope. */
export const MAX_ENDPOINT_BYTES = 14_000;
const MAX_NAME = 64;

export class CommandError extends Error {
  /** `code` is stable, for programs. */
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = "CommandError";
  }
}

export interface Target {
  visit: VisitParts;
  call: CallParts | null;
  tell: (name: string, data: Record<string, unknown>) => void;
}

type Args = readonly unknown[];
type Run = (target: Target, args: Args) => unknown;

function text(args: Args, at: number, most: number): string {
  const value = args[at];
  if (typeof value !== "string" || value === "") throw new CommandError("invalid_argument", `argument ${at + 1} must be text`);
  if (value.length > most) throw new CommandError("invalid_argument", `argument ${at + 1} is longer than ${most} characters`);
  return value;
}

function inCall({ call }: Target): CallParts {
  if (call === null) throw new CommandError("not_joined", "this works in the call only");
  return call;
}

function lasting(target: Target): RoomLive {
  const { live } = inCall(target);
  if (live === null) throw new CommandError("not_lasting", "this works in rooms that last only: this one is nothing but a call");
  return live;
}

function hangUp({ visit, call, tell }: Target): void {
  if (call !== null) {
    visit.session.leave();
    return;
  }
  visit.session.withdraw();
  tell("readyToClose", {});
}

async function rename(target: Target, args: Args): Promise<void> {
  const name = text(args, 0, MAX_NAME);
  const { visit, call } = target;
  if (call === null) {
    visit.visit.note({ name });
    return;
  }
  const me = call.room.localParticipant;
  if (me.permissions?.canUpdateMetadata !== true) {
    throw new CommandError("forbidden", "the name is chosen before the call: this person may not change it there");
  }
  await me.setName(name);
}

async function setPassword(target: Target, args: Args): Promise<void> {
  const { visit, call } = target;
  if (call === null) {
    await visit.session.join(undefined, { password: text(args, 0, 1024) });
    return;
  }
  // Without one, whoever has the link comes in.
  if (args[0] === "") await lasting(target).api.change({ password: "", policy: { entry: "open" } });
  else await lasting(target).api.change({ password: text(args, 0, 1024), policy: { entry: "password" } });
}

async function toggleLobby(target: Target, args: Args): Promise<void> {
  const { api, log } = lasting(target);
  if (args[0] === true) await api.change({ policy: { entry: "knock" } });
  // A room that asks for a password, or for members only, has no lobby to switch off, and must not open by it.
  else if (log.state.policy.entry === "knock") await api.change({ policy: { entry: "open" } });
}

async function muteAll(target: Target, args: Args): Promise<void> {
  const { api } = lasting(target);
  if (args[0] === undefined || args[0] === "audio") {
    await api.muteAll();
    return;
  }
  if (args[0] !== "video") throw new CommandError("invalid_argument", "argument 1 must be audio or video");
  const others = inCall(target).participants.filter(({ isLocal, isCameraEnabled }) => !isLocal && isCameraEnabled);
  await Promise.all(others.map(({ identity }) => api.stop(identity, "camera")));
}

async function grantModerator(target: Target, args: Args): Promise<void> {
  const id = text(args, 0, 256);
  const person = inCall(target).participants.find(({ identity }) => identity === id);
  if (person === undefined) throw new CommandError("unknown_participant", "nobody in the call has this id");
  await lasting(target).api.setRole(memberOf(id), "moderator", person.name ?? "");
}

async function sendChat(target: Target, args: Args): Promise<void> {
  const message = text(args, 0, MAX_MESSAGE_LENGTH);
  const call = inCall(target);
  const to = args[1] === undefined || args[1] === "" ? "" : text(args, 1, 256);
  if (call.live !== null) call.live.log.write({ verb: "message", body: { text: message }, ...(to === "" ? {} : { to: memberOf(to) }) });
  else if (to !== "") throw new CommandError("not_lasting", "private messages are for rooms that last");
  else await call.chat.send(message);
}

async function sendEndpoint(target: Target, args: Args): Promise<void> {
  const to = args[0] === "" || args[0] === undefined ? [] : [text(args, 0, 256)];
  const payload = new TextEncoder().encode(text(args, 1, MAX_ENDPOINT_BYTES));
  if (payload.length > MAX_ENDPOINT_BYTES) throw new CommandError("invalid_argument", `argument 2 is longer than ${MAX_ENDPOINT_BYTES} bytes`);
  await inCall(target).room.localParticipant.publishData(payload, {
    reliable: true,
    topic: ENDPOINT_TOPIC,
    ...(to.length === 0 ? {} : { destinationIdentities: to }),
  });
}

function tileView(target: Target, args: Args): void {
  const { view } = inCall(target);
  const wanted = args[0] === undefined ? view.layout !== "grid" : args[0] === true;
  if (wanted !== (view.layout === "grid")) view.toggleLayout();
}

function pin(target: Target, args: Args): void {
  const call = inCall(target);
  const id = args[0];
  if (id === undefined || id === null || id === "") {
    call.pin(null);
    return;
  }
  if (!call.participants.some(({ identity }) => identity === id)) {
    throw new CommandError("unknown_participant", "nobody in the call has this id");
  }
  call.pin({ kind: "person", identity: id as string });
}

function raiseHand(target: Target): void {
  const { hand } = inCall(target);
  if (hand === null) throw new CommandError("not_lasting", "hands are raised in rooms that last only");
  hand.toggle();
}

const COMMANDS: ReadonlyMap<string, Run> = new Map<string, Run>([
  ["hangup", hangUp],
  ["endConference", (target) => lasting(target).api.endCall()],
  ["toggleAudio", (target) => { inCall(target).media.toggleMic(); }],
  ["toggleVideo", (target) => { inCall(target).media.toggleCamera(); }],
  ["toggleShareScreen", (target) => { inCall(target).media.toggleScreen(); }],
  ["displayName", rename],
  ["subject", (target, args) => lasting(target).api.change({ title: text(args, 0, 200) })],
  ["password", setPassword],
  ["toggleLobby", toggleLobby],
  ["answerKnockingParticipant", (target, args) => lasting(target).api.answerKnock(text(args, 0, 256), args[1] === true)],
  ["muteEveryone", muteAll],
  ["kickParticipant", (target, args) => lasting(target).api.kick(memberOf(text(args, 0, 256)))],
  ["grantModerator", grantModerator],
  ["sendChatMessage", sendChat],
  ["sendEndpointTextMessage", sendEndpoint],
  ["setTileView", tileView],
  ["toggleTileView", (target) => { tileView(target, []); }],
  ["pinParticipant", pin],
  ["toggleRaiseHand", raiseHand],
]);

/** Throws `CommandError`, also for what the server refuses. */
export async function runCommand(target: Target, name: string, args: Args): Promise<void> {
  const run = COMMANDS.get(name);
  if (run === undefined) throw new CommandError("unknown_command", "Ting has no such command");
  try {
    await run(target, args);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof ApiError) throw new CommandError(error.code, error.message);
    throw new CommandError("failed", "it did not work");
  }
}
