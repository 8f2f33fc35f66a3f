import { RoomContext } from "@livekit/components-react";
import { type DisconnectReason, type LocalTrack, type Room, RoomEvent, setLogLevel } from "livekit-client";
import { useCallback, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { CallScreen } from "../call/CallScreen";
import type { ServerConfig } from "../lib/api";
import {
  connectRoom,
  createRoom,
  type EndReason,
  endReason,
  type JoinChoices,
  type JoinProblem,
  joinProblem,
  publishChoices,
} from "../lib/call";
import { deviceProblem, type OwnDeviceProblem } from "../lib/devices";
import { rememberRoom } from "../lib/prefs";
import type { Preview } from "../lib/preview";
import { isRoomName } from "../lib/rooms";
import { isDebug } from "../lib/router";
import { EndPage } from "./EndPage";
import { Lobby } from "./Lobby";

setLogLevel("warn");

declare global {
  interface Window {
    /** The running call, for browser tests; only on pages opened with `?debug=1`. */
    __tingRoom?: Room;
  }
}

type Phase =
  | { kind: "lobby" }
  | { kind: "call"; room: Room; problems: OwnDeviceProblem[] }
  | { kind: "ended"; reason: EndReason | null };

interface Props {
  roomName: string;
  config: ServerConfig;
}

/** One visit to a room: device check, call, and what comes after it. */
export function RoomPage({ roomName, config }: Props) {
  const visit = useVisit(roomName);
  const { t } = useTranslation();
  const { phase } = visit;

  if (phase.kind === "call") {
    return (
      <RoomContext.Provider value={phase.room}>
        <CallScreen
          room={phase.room}
          roomName={roomName}
          appName={config.name}
          problems={phase.problems}
          onLeave={visit.leave}
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
        rejoining={visit.joining}
        problem={visit.problem}
        onRejoin={visit.rejoin}
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
      joining={visit.joining}
      problem={visit.problem}
      onJoin={visit.join}
    />
  );
}

function useVisit(roomName: string) {
  const [phase, setPhase] = useState<Phase>({ kind: "lobby" });
  const [joining, setJoining] = useState(false);
  const [problem, setProblem] = useState<JoinProblem | null>(null);
  const active = useRef<Room | null>(null);
  const choices = useRef<JoinChoices | null>(null);

  const end = useCallback((room: Room, reason: EndReason | null) => {
    if (active.current !== room) return;
    active.current = null;
    delete window.__tingRoom;
    setPhase({ kind: "ended", reason });
  }, []);

  useEffect(
    () => () => {
      const room = active.current;
      active.current = null;
      delete window.__tingRoom;
      void room?.disconnect();
    },
    [],
  );

  const enter = useCallback(
    async (wanted: JoinChoices, takeTracks: () => LocalTrack[]) => {
      const room = createRoom(wanted);
      active.current = room;
      choices.current = wanted;
      setJoining(true);
      setProblem(null);
      try {
        await connectRoom(room, roomName, wanted);
      } catch (error) {
        if (active.current !== room) return;
        active.current = null;
        setProblem(joinProblem(error));
        return;
      } finally {
        setJoining(false);
      }
      // The page was left while the connection was being made.
      if (active.current !== room) {
        await room.disconnect();
        return;
      }
      room.on(RoomEvent.Disconnected, (reason?: DisconnectReason) => {
        end(room, endReason(reason));
      });
      if (isDebug()) window.__tingRoom = room;
      rememberRoom(roomName);
      setPhase({ kind: "call", room, problems: [] });
      await publishChoices(room, wanted, takeTracks(), (source, error) => {
        const found = { source, problem: deviceProblem(error) };
        setPhase((old) =>
          old.kind === "call" && old.room === room ? { ...old, problems: [...old.problems, found] } : old,
        );
      });
    },
    [roomName, end],
  );

  const join = (wanted: JoinChoices, preview: Preview) => {
    if (active.current === null) void enter(wanted, () => preview.take());
  };
  const rejoin = () => {
    if (active.current === null && choices.current !== null) void enter(choices.current, () => []);
  };
  const leave = () => {
    const room = active.current;
    if (room === null) return;
    end(room, null);
    void room.disconnect();
  };
  return { phase, joining, problem, join, rejoin, leave };
}
