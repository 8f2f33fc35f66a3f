/** The WebSocket over which a room's log arrives and is written to. It comes back by itself, with what was missed. */

import { asRecord, text } from "../lib/api";
import { pauseMs } from "../lib/comeback";
import type { Pending } from "./outbox";

/** The part of WebSocket that is used. */
export interface Socket {
  send: (text: string) => void;
  close: () => void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
}

export type Message = Record<string, unknown> & { type: string };

export interface SyncOptions {
  room: string;
  /** What else the room is opened with, each time: in a sealed room which device this is. */
  opening?: () => Promise<Record<string, unknown>>;
  /** A token that opens the room; with `fresh` another one than before. Throws what the door says. */
  token: (fresh: boolean) => Promise<string>;
  /** The newest entry up to which everything is known; null: nothing is. */
  since: () => number | null;
  onMessage: (message: Message) => void;
  onOnline: (online: boolean) => void;
  /** The room is not this person's any more: the code says why. Nothing comes after it. */
  onOver: (code: string) => void;
}

const PING_MS = 25_000;
/** Without any word from the server for so long, the connection is dead, whatever the browser thinks. */
const SILENCE_MS = 60_000;

/** What ends the following of a room for good. */
const FINAL: ReadonlySet<string> = new Set(["kicked", "banned", "denied", "room_not_found", "room_locked", "members_only"]);

function openSocket(): Socket {
  const scheme = window.location.protocol === "https:" ? "wss" : "ws";
  return new WebSocket(`${scheme}://${window.location.host}/api/v1/sync`) as unknown as Socket;
}

export class Sync {
  private socket: Socket | null = null;
  private attempt = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setInterval> | undefined;
  private heardAtMs = 0;
  private isOpen = false;
  private isOver = false;
  private needsFresh = false;

  constructor(
    private readonly options: SyncOptions,
    private readonly connect: () => Socket = openSocket,
  ) {}

  start(): void {
    this.isOver = false;
    void this.open();
    this.watch = setInterval(() => {
      this.check();
    }, PING_MS);
  }

  close(): void {
    this.isOver = true;
    clearTimeout(this.timer);
    clearInterval(this.watch);
    this.isOpen = false;
    this.socket?.close();
    this.socket = null;
  }

  /** The network may be back: do not wait for the end of a pause. */
  readonly tryNow = (): void => {
    if (this.socket !== null || this.isOver) return;
    clearTimeout(this.timer);
    this.attempt = 0;
    void this.open();
  };

  /** False while there is no connection: it has to wait. */
  write(pending: Pending): boolean {
    const { clientId, verb, body, target, to } = pending;
    return this.send({ type: "write", client_id: clientId, verb, body, target, to });
  }

  read(seq: number): void {
    this.send({ type: "read", seq });
  }

  typing(on: boolean): void {
    this.send({ type: "typing", on });
  }

  /** What members have of a room that keeps nothing. */
  askHistory(): void {
    this.send({ type: "ask_history" });
  }

  handHistory(question: string, entries: readonly Record<string, unknown>[]): void {
    this.send({ type: "history", question, entries });
  }

  /** What devices of a sealed room say to each other: it is not sent later. */
  tell(message: Message): void {
    this.send(message);
  }

  private send(message: Record<string, unknown>): boolean {
    if (!this.isOpen || this.socket === null) return false;
    this.socket.send(JSON.stringify({ ...message, room: this.options.room }));
    return true;
  }

  private async open(): Promise<void> {
    let token: string;
    let opening: Record<string, unknown> | undefined;
    try {
      [token, opening] = await Promise.all([this.options.token(this.needsFresh), this.options.opening?.()]);
      this.needsFresh = false;
    } catch (error) {
      const code = text(asRecord(error).code);
      if (FINAL.has(code)) this.over(code);
      else this.retry();
      return;
    }
    if (this.isOver || this.socket !== null) return;
    const socket = this.connect();
    this.socket = socket;
    this.heardAtMs = Date.now();
    socket.onopen = () => {
      const since = this.options.since();
      const { room } = this.options;
      socket.send(JSON.stringify({ type: "open", room, token, ...opening, ...(since === null ? {} : { since }) }));
    };
    socket.onmessage = ({ data }) => {
      if (this.socket === socket) this.hear(data);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.lost();
    };
  }

  private hear(data: unknown): void {
    this.heardAtMs = Date.now();
    let message: Record<string, unknown>;
    try {
      message = asRecord(JSON.parse(String(data)));
    } catch {
      return;
    }
    const type = text(message.type);
    if (type === "opened") {
      this.isOpen = true;
      this.attempt = 0;
      this.options.onOnline(true);
    }
    if (type === "closed") {
      this.refused(text(message.code));
      return;
    }
    this.options.onMessage({ ...message, type });
  }

  private refused(code: string): void {
    if (FINAL.has(code)) {
      this.over(code);
      return;
    }
    this.needsFresh ||= code === "unauthorized";
    this.drop();
  }

  private over(code: string): void {
    this.close();
    this.options.onOver(code);
  }

  private drop(): void {
    const { socket } = this;
    this.lost();
    socket?.close();
  }

  private lost(): void {
    this.socket = null;
    if (this.isOpen) this.options.onOnline(false);
    this.isOpen = false;
    this.retry();
  }

  private retry(): void {
    if (this.isOver) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.open(), pauseMs(this.attempt++));
  }

  private check(): void {
    if (this.socket === null) return;
    if (Date.now() - this.heardAtMs > SILENCE_MS) this.drop();
    else if (this.isOpen) this.socket.send(JSON.stringify({ type: "ping" }));
  }
}
