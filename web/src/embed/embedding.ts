/** The page in a frame of another page, which the operator allowed: takes its commands, and tells it what happens. */

import { type Participant, type Room, RoomEvent, type Track } from "livekit-client";
import type { DeviceProblem, OwnDeviceProblem } from "../lib/devices";
import { isRoomName } from "../lib/rooms";
import type { SessionState } from "../lib/session";
import type { Entry } from "../log/entries";
import type { Knock } from "../log/roomState";
import { memberOf } from "../room/RoomLive";
import { CommandError, ENDPOINT_TOPIC, runCommand } from "./commands";
import { type Heard, isAllowed, readCommand } from "./messages";
import type { CallParts, VisitParts } from "./parts";
import { type Shown, shownOf, type Tell, tellError, tellPeople } from "./people";
import { tellPhase } from "./phases";
import type { Wishes } from "./wishes";

/** What is used of a window; tests give their own. */
export interface FrameWindow {
  parent: { postMessage: (message: unknown, targetOrigin: string) => void };
  addEventListener: (type: "message", listener: (event: Heard) => void) => void;
}

/** Null where the page around the frame is not one of `allowed`: then nothing is told and nothing taken. */
export function openEmbedding(wishes: Wishes, allowed: readonly string[], frame: FrameWindow): Embedding | null {
  return isAllowed(wishes.parent, allowed) ? new Embedding(wishes, frame) : null;
}

const problemsOf = (state: SessionState | null): readonly OwnDeviceProblem[] =>
  state?.phase.kind === "call" ? state.phase.problems : [];

export class Embedding {
  private visit: VisitParts | null = null;
  private session: SessionState | null = null;
  private call: CallParts | null = null;
  private people: readonly Shown[] = [];
  private room: Room | null = null;
  private dominant = "";
  private state = "";
  private unhear: () => void = () => undefined;
  private unlisten: () => void = () => undefined;
  private taken = false;

  constructor(
    private readonly wishes: Wishes,
    private readonly frame: FrameWindow,
  ) {
    frame.addEventListener("message", (event) => {
      this.hear(event);
    });
    this.send({ ting: "ready" });
  }

  /** What the person is to be like at the first visit, and whether there is a device check. */
  begin(parts: VisitParts): { direct: boolean } {
    this.visit = parts;
    if (this.taken) return { direct: false };
    this.taken = true;
    const { name, micOn, cameraOn, prejoin } = this.wishes;
    const { visit } = parts;
    visit.note({
      ...(name === "" ? {} : { name }),
      ...(micOn === null ? {} : { micOn }),
      ...(cameraOn === null ? {} : { cameraOn }),
    });
    if (prejoin) return { direct: false };
    if (visit.state.name.trim() !== "") return { direct: true };
    this.fail("name_missing", "without a name the person is asked for one first");
    return { direct: false };
  }

  /** What follows from how far the visit is. */
  showSession(state: SessionState): void {
    tellPhase(this.session, state, this.tell);
    const told = problemsOf(this.session);
    for (const one of problemsOf(state)) if (!told.includes(one)) this.failDevice(one.source, one.problem);
    this.session = state;
  }

  /** A microphone, a camera or the sharing of a screen did not work; who closes the browser's picker has chosen so. */
  failDevice(source: Track.Source, problem: DeviceProblem): void {
    this.fail(`${source}_${problem}`, `${source}: it could not be used (${problem})`);
  }

  /** There is no such room, and never will be. */
  refuseRoom(roomName: string): void {
    if (!isRoomName(roomName)) this.fail("invalid_room_name", "a room's name has letters, digits, dots, - and _ only", true);
  }

  /** The call as it is now; what differs from before is told. */
  showCall(parts: CallParts): void {
    const before = this.call;
    this.call = parts;
    if (this.room !== parts.room) this.follow(parts.room);
    const people = this.takePeople();
    if (before === null) this.tellJoined(parts);
    tellPeople(people, this.people, this.tell);
    this.compare(before, parts);
    if (before?.live !== parts.live) this.listen(parts);
  }

  leaveCall(): void {
    if (this.call === null) return;
    this.call = null;
    this.people = [];
    this.dominant = "";
    this.room = null;
    this.unhear();
    this.unlisten();
    this.tellState();
    this.tell("videoConferenceLeft", { roomName: this.visit?.roomName ?? "" });
  }

  private readonly tell: Tell = (name, data) => {
    this.send({ ting: "event", name, data });
  };

  private fail(name: string, message: string, isFatal = false): void {
    tellError(this.tell, name, message, isFatal);
  }

  private send(message: Record<string, unknown>): void {
    // Only a page of this origin gets it, whatever is around the frame by now.
    this.frame.parent.postMessage(message, this.wishes.parent);
  }

  private hear(event: Heard): void {
    const command = readCommand(event, this.frame.parent, this.wishes.parent);
    if (command === null) return;
    if (command === "malformed") {
      this.fail("malformed", "a command has a name and up to 8 arguments");
      return;
    }
    const { name, args } = command;
    if (this.visit === null) {
      this.fail("not_ready", `${name}: the room is not open`);
      return;
    }
    runCommand({ visit: this.visit, call: this.call, tell: this.tell }, name, args).catch((error: unknown) => {
      const code = error instanceof CommandError ? error.code : "failed";
      this.fail(code, `${name}: ${error instanceof CommandError ? error.message : "it did not work"}`);
    });
  }

  private tellJoined({ room }: CallParts): void {
    const { id, displayName } = shownOf(room.localParticipant);
    this.tell("videoConferenceJoined", { roomName: this.visit?.roomName ?? "", id, displayName, breakoutRoom: false });
  }

  private readonly comparePeople = (): void => {
    tellPeople(this.takePeople(), this.people, this.tell);
  };

  /** Who was in the call before. The state goes first: whoever hears an event can ask at once. */
  private takePeople(): readonly Shown[] {
    const before = this.people;
    this.people = this.call?.participants.map(shownOf) ?? [];
    this.tellState();
    return before;
  }

  private compare(before: CallParts | null, now: CallParts): void {
    const { media, view, chat, log } = now;
    if (before?.media.micOn !== media.micOn) this.tell("audioMuteStatusChanged", { muted: !media.micOn });
    if (before?.media.cameraOn !== media.cameraOn) this.tell("videoMuteStatusChanged", { muted: !media.cameraOn });
    if ((before?.media.screenOn ?? false) !== media.screenOn) this.tell("screenSharingStatusChanged", { on: media.screenOn, details: {} });
    if (before?.view.layout !== view.layout) this.tell("tileViewChanged", { enabled: view.layout === "grid" });
    if (before?.title !== now.title) this.tell("subjectChange", { subject: now.title });
    const heard = new Set(before?.chat.messages.map(({ id }) => id));
    for (const { id, identity, name, text, own } of chat.messages) {
      if (!heard.has(id)) this.tellMessage(own, { from: identity, nick: name, message: text, privateMessage: false });
    }
    if (before?.log === null || before?.log === undefined || log === null) return;
    const known = new Set(before.log.pending.map(({ clientId }) => clientId));
    for (const { clientId, verb, body, to } of log.pending) {
      if (known.has(clientId) || verb !== "message" || typeof body.text !== "string") continue;
      this.tellMessage(true, { from: log.me, nick: "", message: body.text, privateMessage: to !== undefined });
    }
    this.compareHands(before.log.hands, log.hands);
  }

  private compareHands(before: readonly { member: string }[], now: readonly { member: string }[]): void {
    const inBoth = (list: readonly { member: string }[], id: string) => list.some(({ member }) => member === id);
    for (const { member } of before) if (!inBoth(now, member)) this.tell("raiseHandUpdated", { id: member, handRaised: 0 });
    for (const { member } of now) if (!inBoth(before, member)) this.tell("raiseHandUpdated", { id: member, handRaised: Date.now() });
  }

  private tellMessage(own: boolean, message: { from: string; nick: string; message: string; privateMessage: boolean }): void {
    // What is said in a sealed room is for those who are in it, and the page around the frame is not.
    if (this.call?.live?.sealed != null) return;
    const { message: said, privateMessage } = message;
    if (own) this.tell("outgoingMessage", { message: said, privateMessage });
    else this.tell("incomingMessage", { ...message, stamp: new Date().toISOString() });
  }

  /** What the client library of the call tells. */
  private follow(room: Room): void {
    this.unhear();
    this.room = room;
    const onSpeakers = (speakers: readonly Participant[]) => {
      const id = speakers[0]?.identity ?? this.dominant;
      if (id !== this.dominant) this.tell("dominantSpeakerChanged", { id });
      this.dominant = id;
    };
    const onData = (payload: Uint8Array, sender?: Participant, _kind?: unknown, topic?: string) => {
      if (topic !== ENDPOINT_TOPIC) return;
      const eventData = { name: "endpoint-text-message", text: new TextDecoder().decode(payload) };
      this.tell("endpointTextMessageReceived", { data: { senderInfo: { id: sender?.identity ?? "" }, eventData } });
    };
    room.on(RoomEvent.ActiveSpeakersChanged, onSpeakers).on(RoomEvent.DataReceived, onData);
    room.on(RoomEvent.ParticipantNameChanged, this.comparePeople).on(RoomEvent.ParticipantAttributesChanged, this.comparePeople);
    this.unhear = () => {
      room.off(RoomEvent.ActiveSpeakersChanged, onSpeakers).off(RoomEvent.DataReceived, onData);
      room.off(RoomEvent.ParticipantNameChanged, this.comparePeople).off(RoomEvent.ParticipantAttributesChanged, this.comparePeople);
    };
  }

  /** What the log of the room tells. */
  private listen({ live }: CallParts): void {
    this.unlisten();
    this.unlisten =
      live?.log.listen({
        onEntry: (entry) => {
          this.tellEntry(entry, live.log.state.me);
        },
        onKnock: ({ id, name }: Knock) => {
          this.tell("knockingParticipant", { participant: { id, name } });
        },
        onRefused: (code) => {
          this.fail(code, "the server did not take what was written");
        },
      }) ?? (() => undefined);
  }

  private tellEntry({ verb, body, from, name, to }: Entry, me: string): void {
    if (verb === "message" && from !== me && typeof body?.text === "string") {
      this.tellMessage(false, { from, nick: name, message: body.text, privateMessage: to !== "" });
    }
    const putOut = verb === "moderation" && (body?.act === "kick" || body?.act === "ban");
    if (!putOut || typeof body.who !== "string" || memberOf(body.who) === me) return;
    this.tell("participantKickedOut", { kicked: { id: body.who, local: false }, kicker: { id: from, name } });
  }

  /** What can be asked for at any time there. */
  private tellState(): void {
    const { call } = this;
    const state = {
      joined: call !== null,
      audioMuted: call?.media.micOn !== true,
      videoMuted: call?.media.cameraOn !== true,
      participants: this.people,
    };
    const text = JSON.stringify(state);
    if (text === this.state) return;
    this.state = text;
    this.send({ ting: "state", state });
  }
}
