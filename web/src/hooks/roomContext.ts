import type { Room } from "livekit-client";
import { createContext } from "react";

/** The call that a part of the page stands in; null outside of one. */
export const RoomContext = createContext<Room | null>(null);
