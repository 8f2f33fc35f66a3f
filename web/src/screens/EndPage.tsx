import { CircleSlash, DoorOpen, House, MonitorSmartphone, RotateCw, ServerOff, Trash2, UserX, WifiOff } from "lucide-react";
import { useTranslation } from "../i18n/useTranslation";
import { Brand } from "../components/Brand";
import { LangSwitch } from "../components/LangSwitch";
import { UpdateNote } from "../components/UpdateNote";
import type { EndReason } from "../lib/call";
import type { JoinProblem } from "../lib/joinProblem";
import { navigate } from "../lib/router";

const ICONS = {
  kicked: UserX,
  duplicate: MonitorSmartphone,
  room_ended: DoorOpen,
  room_deleted: Trash2,
  server_shutdown: ServerOff,
  unreachable: WifiOff,
  unknown: CircleSlash,
} as const;

interface Props {
  appName: string;
  roomName: string;
  /** Null after the person left by choice. */
  reason: EndReason | null;
  rejoining: boolean;
  problem: JoinProblem | null;
  onRejoin: () => void;
}

/** What is shown after a call: why it ended, and the way back. */
export function EndPage({ appName, roomName, reason, rejoining, problem, onRejoin }: Props) {
  const { t } = useTranslation();
  const Icon = reason === null ? DoorOpen : ICONS[reason];
  return (
    <div className="page">
      <header className="top-bar">
        <Brand name={appName} />
        <LangSwitch />
      </header>
      <UpdateNote />
      <main className="end-page">
        <div
          className="card end-card"
          data-testid={reason === null ? "left-page" : "disconnected-page"}
          data-reason={reason ?? "left"}
        >
          <span className={`end-icon${reason === null ? "" : " warn"}`}>
            <Icon size={28} aria-hidden />
          </span>
          <h1>{reason === null ? t("left.title") : t(`ended.${reason}.title`)}</h1>
          <p>{reason === null ? t("left.text") : t(`ended.${reason}.text`)}</p>
          <bdi className="room-chip">{roomName}</bdi>
          {problem !== null && (
            <p className="problem" role="alert" data-testid="join-problem">
              {t(`joinProblem.${problem}`)}
            </p>
          )}
          <div className="end-actions">
            <button
              type="button"
              className="button primary large"
              data-testid="rejoin"
              disabled={rejoining}
              onClick={onRejoin}
            >
              <RotateCw size={18} className={rejoining ? "spin" : undefined} aria-hidden />
              {rejoining ? t("lobby.joining") : t("left.rejoin")}
            </button>
            <button
              type="button"
              className="button large"
              data-testid="home"
              onClick={() => {
                navigate("/");
              }}
            >
              <House size={18} aria-hidden />
              {t("left.home")}
            </button>
          </div>
        </div>
      </main>
    </div>
  );
}
