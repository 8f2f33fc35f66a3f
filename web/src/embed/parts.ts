/** The parts of the call that commands act on and events come from. */

import type { Participant, Room } from "livekit-client";
import type { Chat } from "../hooks/useChat";
import type { OwnMedia } from "../hooks/useOwnMedia";
import type { View } from "../hooks/useView";
import type { Session } from "../lib/session";
import type { Item } from "../lib/stage";
import type { Visit } from "../lib/visit";
import type { RoomSnapshot } from "../log/roomState";
import type { RoomLive } from "../room/RoomLive";

export interface CallParts {
  room: Room;
  participants: readonly Participant[];
  media: OwnMedia;
  chat: Chat;
  view: View;
  /** Null where nobody is asked. */
  hand: { up: boolean; toggle: () => void } | null;
  title: string;
  /** Null in a room that is only a call. */
  live: RoomLive | null;
  log: RoomSnapshot | null;
  pin: (item: Item | null) => void;
}

export interface VisitParts {
  roomName: string;
  session: Session;
  visit: Visit;
}
