import type { Room } from "livekit-client";
import { createContext, useContext, useEffect, useMemo, useSyncExternalStore } from "react";
import type { LiveSeal } from "../sealed/liveSeal";
import { type EmojiName, Reactions } from "./reactions";

/** Those of the call that a part of the page stands in; null outside of one. */
export const ReactionsContext = createContext<Reactions | null>(null);

/** Of a call, as long as it is shown. */
export function useReactions(room: Room, seal: LiveSeal | null): Reactions {
  const reactions = useMemo(() => new Reactions(room, seal), [room, seal]);
  useEffect(() => reactions.open(), [reactions]);
  return reactions;
}

const never = () => () => undefined;

/** What somebody reacts with now. */
export function useReactionOf(identity: string): EmojiName | null {
  const reactions = useContext(ReactionsContext);
  return useSyncExternalStore(reactions?.subscribe ?? never, () => reactions?.newestOf(identity) ?? null);
}
