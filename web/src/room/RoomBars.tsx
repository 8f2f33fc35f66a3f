import type { Room } from "livekit-client";
import { BreakoutBar } from "./BreakoutBar";
import { AskedToUnmute, KnockBar } from "./KnockBar";
import type { RoomLive } from "./RoomLive";
import { SealBanner } from "./SealStatus";

interface Props {
  live: RoomLive;
  room: Room;
  /** Names by member. */
  present: ReadonlyMap<string, string>;
  micOn: boolean;
  onUnmute: () => void;
}

/** What a room that lasts has to say over the call: what cannot be read, who knocks, where one is, what a host asks. */
export function RoomBars({ live, room, present, micOn, onUnmute }: Props) {
  return (
    <>
      <SealBanner live={live} call={room} />
      <KnockBar live={live} />
      <BreakoutBar live={live} present={present} />
      <AskedToUnmute live={live} micOn={micOn} onUnmute={onUnmute} />
    </>
  );
}
