/** The drawings of one call, as this page sees them, and its own part in them. */

import { type RemoteParticipant, type Room, RoomEvent, Track } from "livekit-client";
import { displayName } from "../lib/people";
import { type Channel, openChannel } from "../live/channel";
import type { RoomLive } from "../room/RoomLive";
import { memberOf } from "../room/RoomLive";
import { Keeping } from "./keeping";
import { earlierMessages, type Message, parseMessage } from "./messages";
import { type Pen, putPenDown } from "./pen";
import { type Line, type Rules, Sheet, type Stroke } from "./sheet";

const TOPIC = "ting.draw";
/** A presenter who does not tell the rules is asked again, after twice the time each time, so often. */
const ASK_MS = 1000;
const MAX_ASKS = 6;
/** Nobody is told more often than that. */
const TELL_MS = 500;
/** Who has not drawn for so long begins anew, which is said. */
const BEGIN_MS = 30_000;

export interface SheetView {
  strokes: readonly Stroke[];
  rules: Rules | null;
  mayDraw: boolean;
  /** Who began last, and how many have; null: nobody yet. */
  began: { by: string; count: number } | null;
}

const NOTHING: SheetView = { strokes: [], rules: null, mayDraw: false, began: null };

interface Held {
  sheet: Sheet;
  view: SheetView;
  drewAtMs: Map<string, number>;
  keeping: Keeping | null;
  fading: ReturnType<typeof setTimeout> | undefined;
  asking: ReturnType<typeof setTimeout> | undefined;
}

export class Drawings {
  /** By the identity of the presenter. */
  private readonly held = new Map<string, Held>();
  private readonly toldAtMs = new Map<string, number>();
  private readonly listeners = new Set<() => void>();
  private channel: Channel | null = null;

  constructor(
    private readonly room: Room,
    private readonly live: RoomLive | null,
  ) {}

  /** There is something to hear as long as somebody listens. */
  readonly subscribe = (listener: () => void): (() => void) => {
    if (this.listeners.size === 0) this.start();
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.stop();
    };
  };

  private start(): void {
    this.channel = openChannel(this.room, TOPIC, this.live?.sealed?.packets ?? null, (from, message) => {
      const parsed = parseMessage(message);
      if (parsed !== null) this.hear(from.identity, parsed);
    });
    this.room.on(RoomEvent.ParticipantDisconnected, this.handleLeft).on(RoomEvent.Reconnected, this.handleReturned);
  }

  private stop(): void {
    this.channel?.close();
    this.channel = null;
    this.room.off(RoomEvent.ParticipantDisconnected, this.handleLeft).off(RoomEvent.Reconnected, this.handleReturned);
    for (const presenter of [...this.held.keys()]) this.drop(presenter);
  }

  /** Of the screen that `presenter` shares as the track `share`. */
  view(presenter: string, share: string): SheetView {
    const held = this.held.get(presenter);
    return held?.sheet.share === share ? held.view : NOTHING;
  }

  /** Somebody else's screen is looked at: what are its rules, and what is there already? */
  follow(presenter: string, share: string): void {
    this.ask(this.sheetOf(presenter, share), 0);
  }

  // --- the presenter's part -----------------------------------------------------------------------------------------

  setRules(share: string, rules: Rules): void {
    const held = this.sheetOf(this.me, share);
    held.sheet.setRules(rules, performance.now());
    void this.channel?.send({ type: "rules", share, ...rules });
    this.changed(held);
  }

  clear(share: string): void {
    const held = this.sheetOf(this.me, share);
    const hasKept = held.sheet.strokes.some(({ stays }) => stays);
    held.sheet.clear();
    void this.channel?.send({ type: "clear", share });
    if (hasKept) this.keepingOf(held)?.clear();
    this.changed(held);
  }

  // --- one's own strokes --------------------------------------------------------------------------------------------

  penDown(presenter: string, share: string): Pen {
    return putPenDown((line) => {
      void this.channel?.send({ type: "line", share, presenter, ...line });
      this.take(this.sheetOf(presenter, share), this.me, line);
    });
  }

  // --- what others send ---------------------------------------------------------------------------------------------

  private hear(from: string, message: Message): void {
    const { share } = message;
    if (message.type === "ask") {
      if (share === this.ownShare()) this.tell(from, share);
      return;
    }
    if (message.type === "line") {
      const held = this.held.get(message.presenter);
      if (held?.sheet.share === share) this.take(held, from, message);
      return;
    }
    // The rest is for presenters to say, each of their own screen.
    const held = this.sheetOf(from, share);
    const nowMs = performance.now();
    if (message.type === "rules") {
      clearTimeout(held.asking);
      held.sheet.setRules({ everyone: message.everyone, stays: message.stays }, nowMs);
    } else if (message.type === "clear") held.sheet.clear();
    else held.sheet.addEarlier(message.strokes, nowMs);
    this.changed(held);
  }

  /** The rules and what is there, to somebody who came later. */
  private tell(identity: string, share: string): void {
    const { sheet } = this.sheetOf(this.me, share);
    const nowMs = performance.now();
    if (sheet.rules === null || nowMs - (this.toldAtMs.get(identity) ?? -Infinity) < TELL_MS) return;
    this.toldAtMs.set(identity, nowMs);
    void this.channel?.send({ type: "rules", share, ...sheet.rules }, identity);
    const ended = sheet.strokes.filter(({ done }) => done);
    for (const message of earlierMessages(share, ended)) void this.channel?.send(message, identity);
  }

  private take(held: Held, by: string, line: Line): void {
    const nowMs = performance.now();
    const stroke = held.sheet.add(by, line, nowMs);
    if (stroke === null) return;
    const last = held.drewAtMs.get(by) ?? -Infinity;
    held.drewAtMs.set(by, nowMs);
    if (nowMs - last > BEGIN_MS) held.view = { ...held.view, began: { by, count: (held.view.began?.count ?? 0) + 1 } };
    if (stroke.done && stroke.stays) {
      const person = this.room.getParticipantByIdentity(by) ?? { identity: by };
      this.keepingOf(held)?.add(stroke, memberOf(by), displayName(person));
    }
    this.changed(held);
  }

  private readonly handleLeft = ({ identity }: RemoteParticipant): void => {
    this.drop(identity);
    this.toldAtMs.delete(identity);
    for (const held of this.held.values()) {
      held.drewAtMs.delete(identity);
      held.sheet.lift(identity, performance.now());
      this.changed(held);
    }
  };

  /** What was sent meanwhile may be lost. */
  private readonly handleReturned = (): void => {
    for (const [presenter, held] of this.held) if (presenter !== this.me) this.ask(held, 0);
  };

  // --- sheets -------------------------------------------------------------------------------------------------------

  private get me(): string {
    return this.room.localParticipant.identity;
  }

  private ownShare(): string | undefined {
    return this.room.localParticipant.getTrackPublication(Track.Source.ScreenShare)?.trackSid;
  }

  /** That of an earlier share of theirs is thrown away. */
  private sheetOf(presenter: string, share: string): Held {
    const known = this.held.get(presenter);
    if (known?.sheet.share === share) return known;
    this.drop(presenter);
    const sheet = new Sheet(presenter, share);
    const view = { ...NOTHING, mayDraw: sheet.mayDraw(this.me) };
    const held: Held = { sheet, view, drewAtMs: new Map(), keeping: null, fading: undefined, asking: undefined };
    this.held.set(presenter, held);
    return held;
  }

  private drop(presenter: string): void {
    const held = this.held.get(presenter);
    if (held === undefined) return;
    clearTimeout(held.fading);
    clearTimeout(held.asking);
    held.keeping?.flush();
    this.held.delete(presenter);
  }

  private ask(held: Held, asks: number): void {
    const { presenter, share } = held.sheet;
    clearTimeout(held.asking);
    void this.channel?.send({ type: "ask", share }, presenter);
    if (asks + 1 >= MAX_ASKS) return;
    held.asking = setTimeout(() => {
      if (held.sheet.rules === null) this.ask(held, asks + 1);
    }, ASK_MS * 2 ** asks);
  }

  /** Null where nothing is kept: in a call without a room behind it, and where one may not write. */
  private keepingOf(held: Held): Keeping | null {
    const { live } = this;
    if (live === null || held.sheet.presenter !== this.me) return null;
    const { role, policy } = live.log.state;
    if (!policy.guests_write && role === "guest") return null;
    held.keeping ??= new Keeping(held.sheet.share, (body) => {
      live.log.write({ verb: "draw", body });
    });
    return held.keeping;
  }

  private changed(held: Held): void {
    const { sheet } = held;
    clearTimeout(held.fading);
    const nextMs = sheet.expire(performance.now());
    if (nextMs !== null) {
      held.fading = setTimeout(() => {
        this.changed(held);
      }, nextMs + 20);
    }
    held.view = { ...held.view, strokes: sheet.strokes, rules: sheet.rules, mayDraw: sheet.mayDraw(this.me) };
    for (const listener of this.listeners) listener();
  }
}
