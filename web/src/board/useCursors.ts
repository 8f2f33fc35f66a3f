import type { Collaborator, SocketId } from "@excalidraw/excalidraw/types";
import type { RemoteParticipant, Room } from "livekit-client";
import { useEffect, useMemo } from "react";
import { asRecord } from "../lib/api";
import { avatarColour, displayName } from "../lib/people";
import { type Channel, openChannel } from "../live/channel";
import type { RoomLive } from "../room/RoomLive";
import type { Board } from "./board";

const TOPIC = "ting.board";
const SEND_MS = 60;
/** A pointer that has not moved for so long is not shown. */
const SHOWN_MS = 8000;
/** As the colours of people elsewhere. */
const COLOURS = ["#1f7a68", "#3d63b8", "#9a4f86", "#a9542f", "#5a6b25", "#6a55b5", "#a33f4e", "#2c7390"];

export type Cursors = Map<SocketId, Collaborator>;

interface Pointer {
  x: number;
  y: number;
}

class Pointers {
  private readonly shown: Cursors = new Map();
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();
  private channel: Channel | null = null;
  private waiting: Pointer | null = null;
  private sending: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly room: Room,
    private readonly live: RoomLive,
    private readonly board: Board,
    private readonly show: (cursors: Cursors) => void,
  ) {}

  open(): void {
    this.channel = openChannel(this.room, TOPIC, this.live.sealed?.packets ?? null, (from, message) => {
      const { type, x, y } = asRecord(message);
      if (type === "ask") this.board.handleAsked();
      if (type === "pointer" && Number.isFinite(x) && Number.isFinite(y)) this.move(from, { x: x as number, y: y as number });
    });
  }

  /** Others are asked for a board that the log does not give. */
  ask(): void {
    void this.channel?.send({ type: "ask" });
  }

  send(pointer: Pointer): void {
    this.waiting = pointer;
    this.sending ??= setTimeout(() => {
      this.sending = undefined;
      if (this.waiting !== null) void this.channel?.send({ type: "pointer", ...this.waiting });
    }, SEND_MS);
  }

  close(): void {
    this.channel?.close();
    this.channel = null;
    clearTimeout(this.sending);
    this.sending = undefined;
    for (const timer of this.timers.values()) clearTimeout(timer);
  }

  private move(from: RemoteParticipant, { x, y }: Pointer): void {
    const { identity } = from;
    const colour = COLOURS[avatarColour(identity)] ?? "#52605c";
    this.set(identity, { username: displayName(from), pointer: { x, y, tool: "pointer" }, color: { background: colour, stroke: colour } });
    clearTimeout(this.timers.get(identity));
    this.timers.set(
      identity,
      setTimeout(() => {
        this.timers.delete(identity);
        this.set(identity, null);
      }, SHOWN_MS),
    );
  }

  private set(identity: string, cursor: Collaborator | null): void {
    const id = identity as SocketId;
    if (cursor === null) this.shown.delete(id);
    else this.shown.set(id, cursor);
    this.show(new Map(this.shown));
  }
}

/** Where the others are on the board, and where one is oneself. */
export function useCursors(room: Room, live: RoomLive, board: Board, show: (cursors: Cursors) => void): Pointers {
  const pointers = useMemo(() => new Pointers(room, live, board, show), [room, live, board, show]);
  useEffect(() => {
    pointers.open();
    return () => {
      pointers.close();
    };
  }, [pointers]);
  return pointers;
}
