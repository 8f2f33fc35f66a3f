/** One visit's way through the app: device check, call, away while the server cannot be reached, and the end. */

import {
  type DisconnectReason,
  type LocalTrack,
  type Participant,
  type Room,
  RoomEvent,
  Track,
  type TrackPublication,
} from "livekit-client";
import { type Admission, isServerReady, type Visitor } from "./api";
import { connectRoom, createRoom, type EndReason, endReason, joinProblem, publishChoices } from "./call";
import { type AwayReason, comesBack, isAwayReason, pauseMs } from "./comeback";
import { deviceProblem, type OwnDeviceProblem } from "./devices";
import { checkSeal, enter } from "./door";
import { type JoinProblem, problemOfCode } from "./joinProblem";
import { keptInvitation } from "./keys";
import { rememberRoom } from "./prefs";
import type { Visit } from "./visit";

export interface InCall {
  kind: "call";
  room: Room;
  problems: readonly OwnDeviceProblem[];
  /** Sources that are not sent yet: their switches say what is wanted. */
  pending: ReadonlySet<Track.Source>;
  /** Why there is no connection now, while the session tries to come back by itself. */
  away: AwayReason | null;
  /** Whether others are not heard here, because another tab of this browser is in the call too. */
  silent: boolean;
}

export type Phase = { kind: "lobby" } | { kind: "chat" } | InCall | { kind: "ended"; reason: EndReason | null };

export interface SessionState {
  phase: Phase;
  joining: boolean;
  /** At the door, until somebody answers the knock. */
  waiting: boolean;
  problem: JoinProblem | null;
  /** With what one came in last, or comes in now. */
  admission: Admission | null;
}

export interface JoinOptions {
  /** Whether others are not heard, because another tab of this browser hears them. */
  silent?: boolean;
  password?: string;
  note?: string;
}

const DEVICES: ReadonlySet<Track.Source> = new Set([Track.Source.Microphone, Track.Source.Camera]);

/** What a session does outside of itself; tests give their own. */
export const OUTSIDE = { enter, checkSeal, createRoom, connectRoom, publishChoices, isServerReady };

export class Session {
  state: SessionState = { phase: { kind: "lobby" }, joining: false, waiting: false, problem: null, admission: null };
  private readonly listeners = new Set<() => void>();
  private silent = false;
  private password = "";
  private note = "";
  /** Aborted when nobody wants to come in any more. */
  private entering = new AbortController();
  /** The room that is entered or was entered last; a change of it makes everything of the one before late. */
  private active: Room | null = null;
  private wake: () => void = () => undefined;

  constructor(
    private readonly roomName: string,
    private readonly visit: Visit,
    private readonly outside = OUTSIDE,
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): SessionState => this.state;

  /** Into the call with the tracks that `take` hands over, or with devices opened anew. */
  async join(take: () => LocalTrack[] = () => [], options: JoinOptions = {}): Promise<void> {
    if (this.active !== null || this.state.joining) return;
    this.prepare(options);
    this.update({ joining: true, problem: null, admission: null });
    const { signal } = this.entering;
    try {
      const made = await this.makeRoom();
      if (signal.aborted) {
        await made.room.disconnect();
        return;
      }
      this.active = made.room;
      await this.outside.connectRoom(made.room, made.admission);
      await this.adopt(made.room, take);
    } catch (error) {
      if (signal.aborted) return;
      this.active = null;
      this.fail(error);
    }
  }

  /** Into the room without its call. */
  async openChat(options: JoinOptions = {}): Promise<void> {
    if (this.active !== null || this.state.joining) return;
    this.prepare(options);
    this.update({ joining: true, problem: null, admission: null });
    const { signal } = this.entering;
    try {
      const admission = await this.enter();
      if (signal.aborted) return;
      rememberRoom(this.roomName);
      this.update({ joining: false, waiting: false, admission, phase: { kind: "chat" } });
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  /** Away from the door, or from the chat: back to the device check. */
  readonly withdraw = (): void => {
    this.active = null;
    this.entering.abort();
    this.update({ joining: false, waiting: false, problem: null, phase: { kind: "lobby" } });
  };

  /** The room has put this person out, or is there no more. */
  readonly putOut = (code: string): void => {
    const { phase, joining } = this.state;
    const room = this.active;
    if (joining) {
      // The log came first to the door, or to a link that opens nothing; the call's connection is not waited for.
      this.active = null;
      this.entering.abort();
      this.update({ joining: false, waiting: false, problem: problemOfCode(code) });
      void room?.disconnect();
      return;
    }
    if (phase.kind === "call" || phase.kind === "chat") {
      this.end(code === "room_not_found" ? "room_deleted" : "kicked");
      void room?.disconnect();
    }
    if (this.state.phase.kind === "ended" && code !== "room_not_found") this.update({ problem: problemOfCode(code) });
  };

  private prepare({ silent = false, password = "", note = "" }: JoinOptions): void {
    this.silent = silent;
    this.password = password;
    this.note = note;
    this.entering = new AbortController();
  }

  private async enter(): Promise<Admission> {
    const visitor: Visitor = {
      name: this.visit.state.name,
      password: this.password,
      invitation: keptInvitation(this.roomName) ?? "",
      note: this.note,
      apart: this.silent,
    };
    const { signal } = this.entering;
    await this.outside.checkSeal(this.roomName);
    return this.outside.enter(this.roomName, visitor, {
      signal,
      onWaiting: () => {
        if (this.state.joining && !signal.aborted) this.update({ waiting: true });
      },
    });
  }

  /** Through the door; what the room is like decides how the client library is set up. */
  private async makeRoom(): Promise<{ room: Room; admission: Admission }> {
    const admission = await this.enter();
    this.update({ admission });
    return { room: await this.outside.createRoom(this.visit.state, admission.kind), admission };
  }

  private fail(error: unknown): void {
    this.update({ joining: false, waiting: false, problem: joinProblem(error) });
  }

  readonly leave = (): void => {
    const room = this.active;
    if (room === null) return;
    this.end(null);
    void room.disconnect();
  };

  /** Another tab of this browser goes on with the call. */
  handOver(): void {
    const room = this.active;
    if (room === null) return;
    this.end("duplicate");
    void room.disconnect();
  }

  /** From now on the others are heard here too. */
  readonly hear = (): void => {
    this.silent = false;
    if (this.state.phase.kind === "call") this.updateCall(this.state.phase.room, () => ({ silent: false }));
  };

  /** When the page goes: as `leave`, and nobody looks any more. */
  dispose(): void {
    const room = this.active;
    this.active = null;
    this.entering.abort();
    this.wake();
    void room?.disconnect();
  }

  /** While away: do not wait for the next try. */
  readonly tryNow = (): void => {
    this.wake();
  };

  private async adopt(room: Room, take: () => LocalTrack[]): Promise<void> {
    // The page was left while the connection was being made.
    if (this.active !== room) {
      await room.disconnect();
      return;
    }
    room.on(RoomEvent.Disconnected, (reason?: DisconnectReason) => {
      if (this.active !== room) return;
      const why = endReason(reason);
      if (isAwayReason(why)) void this.comeBack(room, why);
      else this.end(why);
    });
    this.noteMutes(room);
    rememberRoom(this.roomName);
    const { silent } = this;
    this.update({ joining: false, waiting: false, phase: { kind: "call", room, problems: [], pending: DEVICES, away: null, silent } });
    // The choices of now: devices may have been switched off while the connection was being made.
    await this.outside.publishChoices(room, this.visit.snapshot, take(), {
      onProblem: (source, error) => {
        // What failed because the server went away is not the device's fault, and is tried again.
        if (this.isAway(room)) return;
        this.noteState(source, false);
        const found = { source, problem: deviceProblem(error) };
        this.updateCall(room, ({ problems }) => ({ problems: [...problems, found] }));
      },
      onSettled: (source) => {
        if (this.isAway(room)) return;
        this.updateCall(room, ({ pending }) => ({ pending: new Set([...pending].filter((entry) => entry !== source)) }));
      },
    });
  }

  private async comeBack(lost: Room, reason: AwayReason): Promise<void> {
    this.updateCall(lost, () => ({ away: reason, pending: DEVICES }));
    for (let attempt = 0; this.active === lost; attempt++) {
      if (await this.pause(pauseMs(attempt))) attempt = 0;
      if (this.active !== lost || !(await this.outside.isServerReady())) continue;
      let room: Room;
      try {
        const made = await this.makeRoom();
        room = made.room;
        await this.outside.connectRoom(room, made.admission);
      } catch (error) {
        const problem = joinProblem(error);
        if (this.active !== lost || comesBack(problem)) continue;
        this.end(reason);
        this.update({ problem });
        return;
      }
      if (this.active === lost) this.active = room;
      await this.adopt(room, () => []);
      return;
    }
  }

  /** Whether it was ended early, by `wake`. */
  private pause(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        resolve(false);
      }, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  private end(reason: EndReason | null): void {
    this.active = null;
    this.entering.abort();
    this.wake();
    this.update({ joining: false, waiting: false, phase: { kind: "ended", reason } });
  }

  /** Whoever switched a device off, the person or a host: it stays off on every way back. */
  private noteMutes(room: Room): void {
    const note = (on: boolean) => (publication: TrackPublication, participant: Participant) => {
      if (participant.isLocal) this.noteState(publication.source, on);
    };
    room.on(RoomEvent.TrackMuted, note(false));
    room.on(RoomEvent.TrackUnmuted, note(true));
  }

  private noteState(source: Track.Source, on: boolean): void {
    if (source === Track.Source.Microphone) this.visit.note({ micOn: on });
    if (source === Track.Source.Camera) this.visit.note({ cameraOn: on });
  }

  private isAway(room: Room): boolean {
    const { phase } = this.state;
    return phase.kind !== "call" || phase.room !== room || phase.away !== null;
  }

  private updateCall(room: Room, change: (old: InCall) => Partial<InCall>): void {
    const { phase } = this.state;
    if (phase.kind === "call" && phase.room === room) this.update({ phase: { ...phase, ...change(phase) } });
  }

  private update(change: Partial<SessionState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}
