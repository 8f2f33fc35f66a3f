import { useContext, useEffect, useMemo, useState } from "react";
import { RoomContext } from "../hooks/roomContext";
import { text } from "../lib/api";
import { callMediaOf } from "../sealed/callMedia";
import { SealedRoom } from "../sealed/sealedRoom";
import { memberOf, type RoomLiveProps, useRoomLive, useRoomNews } from "./RoomLive";
import { RoomLiveProvider, tokensOf } from "./RoomLiveProvider";

/** As `RoomLiveProvider`, of a sealed room. */
export function SealedLiveProvider(props: RoomLiveProps) {
  const { roomName, visit, admission, onOver } = props;
  const [sealed, setSealed] = useState<SealedRoom | null>(null);

  useEffect(() => {
    let isOver = false;
    let opened: SealedRoom | null = null;
    const me = memberOf(admission.identity);
    SealedRoom.open({ room: roomName, me, token: tokensOf({ roomName, visit, admission }) }).then(
      (room) => {
        opened = room;
        if (isOver) room.close();
        else setSealed(room);
      },
      () => {
        if (!isOver) onOver("sealed_link");
      },
    );
    return () => {
      isOver = true;
      opened?.close();
    };
    // A token that came later changes nothing: `tokensOf` reads the newest.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [roomName]);

  if (sealed === null) return null;
  return (
    <RoomLiveProvider {...props} sealed={sealed}>
      <Follow identity={admission.identity} />
      {props.children}
    </RoomLiveProvider>
  );
}

/** What goes from the log to the group, from the group to the log, and from the group to the call. */
function Follow({ identity }: { identity: string }) {
  const live = useRoomLive();
  const call = useContext(RoomContext);
  const sealed = live?.sealed ?? null;

  useEffect(() => {
    if (live === null || sealed === null) return;
    const { log } = live;
    const followPolicy = () => {
      sealed.sharesHistory = log.state.policy.history;
    };
    const ends = [
      log.subscribe(followPolicy),
      sealed.seal.onReadable(log.take),
      // What waited for a key goes out with the first one.
      sealed.session.subscribe(log.sendWaiting),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, [live, sealed]);

  useRoomNews(
    live,
    useMemo(
      () => ({
        onEntry: ({ verb, body }) => {
          if (verb === "moderation" && (body?.act === "kick" || body?.act === "ban")) sealed?.session.handlePutOut(text(body.who));
        },
      }),
      [sealed],
    ),
  );

  useEffect(() => {
    const media = call === null ? null : callMediaOf(call);
    if (media === null || sealed === null) return;
    return media.follow(sealed.session, identity);
  }, [call, sealed, identity]);

  return null;
}
