import { setLogLevel } from "livekit-client";
import { type ReactNode, useEffect, useState } from "react";
import { CallScreen } from "../call/CallScreen";
import { later } from "../components/later";
import type { Embedding } from "../embed/embedding";
import { RoomContext } from "../hooks/roomContext";
import { useEmbeddedVisit, useEmbedding } from "../hooks/useEmbedding";
import { useLastingRoom } from "../hooks/useLastingRoom";
import { useSession } from "../hooks/useSession";
import { useTabs } from "../hooks/useTabs";
import { type Admission, keepToken, type ServerConfig } from "../lib/api";
import type { Preview } from "../lib/preview";
import { takeSecret } from "../lib/keys";
import { isRoomName } from "../lib/rooms";
import type { Session } from "../lib/session";
import { Visit } from "../lib/visit";
import { memberOf, useRoomLive } from "../room/RoomLive";
import type { DoorAnswers } from "./DoorParts";
import { EndPage } from "./EndPage";
import { Lobby } from "./Lobby";
import { BadRoomName } from "./NotFound";

const ChatPage = later(async () => (await import("./ChatPage")).ChatPage, undefined, <Splash />);

setLogLevel("warn");

interface Props {
  roomName: string;
  config: ServerConfig;
}

export function RoomPage({ roomName, config }: Props) {
  const embedding = useEmbedding(config);
  useEffect(() => {
    embedding?.refuseRoom(roomName);
  }, [embedding, roomName]);
  if (!isRoomName(roomName)) return <BadRoomName config={config} roomName={roomName} />;
  if (embedding === undefined) return <Splash />;
  return <RoomVisit roomName={roomName} config={config} embedding={embedding} />;
}

function Splash() {
  return <div className="splash" aria-busy="true" />;
}

/** One visit to a room: device check, call, and what comes after it. */
function RoomVisit({ roomName, config, embedding }: Props & { embedding: Embedding | null }) {
  const [visit] = useState(() => {
    takeSecret(roomName);
    return new Visit(roomName);
  });
  const { session, state } = useSession(roomName, visit);
  const { phase, joining, waiting, problem, admission } = state;
  const direct = useEmbeddedVisit(embedding, { roomName, session, visit }, state);
  const tabs = useTabs(roomName, visit, session, phase.kind === "call");

  const join = async (preview?: Preview, answers?: DoorAnswers) => {
    if (tabs.elsewhere) await tabs.takeOver();
    await session.join(preview && (() => preview.take()), answers);
  };
  const joinSilent = async (answers: DoorAnswers) => {
    // A room that lasts knows the person by the key, and gets a second participant of it. Elsewhere this is somebody
    // new: with the other tab's token, this one would take its place.
    keepToken(roomName, null);
    visit.note({ micOn: false });
    await session.join(undefined, { ...answers, silent: true });
  };

  const openChat = async (answers: DoorAnswers) => {
    await session.openChat(answers);
  };

  const ended = phase.kind === "ended" ? phase.reason : null;
  // The call only knows that one was put out; the room says whether for minutes or for good.
  const asksWhy = ended === "kicked" && problem === null;
  const isInside = phase.kind === "call" || phase.kind === "chat";
  // The log, and the group of a sealed room, are entered beside the call's own connection, not after it.
  return (
    <>
      <RoomContext value={phase.kind === "call" ? phase.room : null}>
        {(isInside || joining || asksWhy) && (
          <WithLog key={asksWhy && !joining ? "after" : "inside"} roomName={roomName} visit={visit} session={session} admission={admission}>
            {phase.kind === "call" && (
              <CallScreen call={phase} visit={visit} session={session} roomName={roomName} appName={config.name} embedding={embedding} />
            )}
            {phase.kind === "chat" && <Chat appName={config.name} visit={visit} onJoin={session.withdraw} />}
          </WithLog>
        )}
      </RoomContext>
      {direct && <Splash />}
      {phase.kind === "lobby" && !direct && (
        <Lobby
          config={config}
          roomName={roomName}
          visit={visit}
          elsewhere={tabs.elsewhere}
          joining={joining}
          waiting={waiting}
          problem={problem}
          onJoin={(preview, answers) => void join(preview, answers)}
          onJoinSilent={(answers) => void joinSilent(answers)}
          onOpenChat={(answers) => void openChat(answers)}
          onCancel={session.withdraw}
        />
      )}
      {phase.kind === "ended" && (
        <EndPage
          appName={config.name}
          roomName={roomName}
          reason={phase.reason}
          rejoining={joining}
          problem={problem}
          onRejoin={() => void join()}
        />
      )}
    </>
  );
}

interface WithLogProps {
  roomName: string;
  visit: Visit;
  session: Session;
  admission: Admission | null;
  children: ReactNode;
}

/** With the room's log, where the room has one; it stays while the call is made, comes and goes. */
function WithLog({ roomName, visit, session, admission, children }: WithLogProps) {
  const lasting = useLastingRoom(admission);
  if (admission?.lasts !== true) return children;
  const key = `${admission.kind} ${memberOf(admission.identity)}`;
  return (
    lasting && (
      <lasting.Provider key={key} roomName={roomName} visit={visit} admission={admission} onOver={session.putOut}>
        {children}
      </lasting.Provider>
    )
  );
}

function Chat({ appName, visit, onJoin }: { appName: string; visit: Visit; onJoin: () => void }) {
  const live = useRoomLive();
  return live && <ChatPage appName={appName} live={live} visit={visit} onJoin={onJoin} />;
}
