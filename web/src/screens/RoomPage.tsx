import { RoomContext } from "@livekit/components-react";
import { setLogLevel } from "livekit-client";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { CallScreen } from "../call/CallScreen";
import { useSession } from "../hooks/useSession";
import type { ServerConfig } from "../lib/api";
import { isRoomName } from "../lib/rooms";
import { Visit } from "../lib/visit";
import { EndPage } from "./EndPage";
import { Lobby } from "./Lobby";

setLogLevel("warn");

interface Props {
  roomName: string;
  config: ServerConfig;
}

/** One visit to a room: device check, call, and what comes after it. */
export function RoomPage({ roomName, config }: Props) {
  const [visit] = useState(() => new Visit(roomName));
  const { session, phase, joining, problem } = useSession(roomName, visit);
  const { t } = useTranslation();

  if (phase.kind === "call") {
    return (
      <RoomContext.Provider value={phase.room}>
        <CallScreen
          call={phase}
          visit={visit}
          roomName={roomName}
          appName={config.name}
          onTryNow={session.tryNow}
          onLeave={() => {
            session.leave();
          }}
        />
      </RoomContext.Provider>
    );
  }
  if (phase.kind === "ended") {
    return (
      <EndPage
        appName={config.name}
        roomName={roomName}
        reason={phase.reason}
        rejoining={joining}
        problem={problem}
        onRejoin={() => void session.join()}
      />
    );
  }
  if (!isRoomName(roomName)) {
    return (
      <main className="end-page">
        <div className="card end-card" role="alert">
          <h1>{t("lobby.invalidRoom")}</h1>
          <p>{t("landing.problem.invalid")}</p>
          <a className="button primary" href="/">
            {t("left.home")}
          </a>
        </div>
      </main>
    );
  }
  return (
    <Lobby
      config={config}
      roomName={roomName}
      visit={visit}
      joining={joining}
      problem={problem}
      onJoin={(preview) => void session.join(() => preview.take())}
    />
  );
}
