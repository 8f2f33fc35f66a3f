import { ArrowLeft, NotebookText, Users, Video } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { later, laterDialog } from "../components/later";
import { Brand } from "../components/Brand";
import { LangSwitch } from "../components/LangSwitch";
import { useDoor } from "../hooks/useDoor";
import type { Visit } from "../lib/visit";
import { KnockBar } from "../room/KnockBar";
import { type RoomLive, useRoomState } from "../room/RoomLive";
import { SealBanner, SealStatus } from "../room/SealStatus";

const RoomChat = later(async () => (await import("../chat/RoomChat")).RoomChat, undefined, <div className="messages" aria-busy="true" />);

const RoomDialog = laterDialog(async () => (await import("../room/RoomDialog")).RoomDialog);

const NOBODY: ReadonlyMap<string, string> = new Map();

interface Props {
  appName: string;
  live: RoomLive;
  visit: Visit;
  onJoin: () => void;
}

/** A room that lasts without its call: what was said in it, and the way into the call. */
export function ChatPage({ appName, live, visit, onJoin }: Props) {
  const { t } = useTranslation();
  const { title } = useRoomState(live.log);
  const door = useDoor(live.roomName);
  const [roomOpen, setRoomOpen] = useState(false);
  const here = door?.numParticipants ?? 0;
  return (
    <div className="page chat-page" data-testid="chat-page">
      <header className="top-bar">
        <Brand name={appName} />
        <LangSwitch />
      </header>
      <main className="card chat-card">
        <header className="chat-card-head">
          <button type="button" className="icon-button" data-testid="leave-chat" aria-label={t("chatPage.leave")} onClick={onJoin}>
            <ArrowLeft className="points-on" size={20} aria-hidden />
          </button>
          <h1>
            <bdi>{title === "" ? live.roomName : title}</bdi>
          </h1>
          <SealStatus live={live} />
          {here > 0 && (
            <span className="room-count">
              <Users size={15} aria-hidden />
              {t("lobby.here", { count: here })}
            </span>
          )}
          <button
            type="button"
            className="icon-button"
            data-testid="room-menu"
            aria-label={t("room.menu")}
            onClick={() => {
              setRoomOpen(true);
            }}
          >
            <NotebookText size={20} aria-hidden />
          </button>
          <button type="button" className="button primary small" data-testid="join-from-chat" onClick={onJoin}>
            <Video size={17} aria-hidden />
            <span>{t("chatPage.join")}</span>
          </button>
        </header>
        <SealBanner live={live} />
        <KnockBar live={live} />
        <RoomChat live={live} visit={visit} present={NOBODY} />
        {roomOpen && (
          <RoomDialog
            live={live}
            onClose={() => {
              setRoomOpen(false);
            }}
          />
        )}
      </main>
    </div>
  );
}
