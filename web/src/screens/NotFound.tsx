import { CircleHelp, DoorClosed, DoorOpen, House, Plus } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Brand } from "../components/Brand";
import { LangSwitch } from "../components/LangSwitch";
import { useMakeRoom } from "../hooks/useMakeRoom";
import type { ServerConfig } from "../lib/api";
import { roomNameProblem, roomPath, suggestRoomName } from "../lib/rooms";
import { navigate } from "../lib/router";

/** An address of this server that leads nowhere. */
export function NotFound({ config, path }: { config: ServerConfig; path: string }) {
  const { t } = useTranslation();
  return (
    <Page config={config} testId="not-found-page" title={t("notFound.title")} icon={<CircleHelp size={28} aria-hidden />}>
      <p>{t("notFound.text")}</p>
      <bdi className="room-chip">{path}</bdi>
    </Page>
  );
}

/** A link whose room name the server would refuse: what is wrong with it, and a name that is not. */
export function BadRoomName({ config, roomName }: { config: ServerConfig; roomName: string }) {
  const { t } = useTranslation();
  const problem = roomNameProblem(roomName) ?? "characters";
  const better = suggestRoomName(roomName);
  return (
    <Page
      config={config}
      testId="bad-room-page"
      title={t("lobby.invalidRoom")}
      icon={<DoorClosed size={28} aria-hidden />}
      first={
        better !== null && (
          <button
            type="button"
            className="button primary large"
            data-testid="better-room"
            onClick={() => {
              navigate(roomPath(better));
            }}
          >
            <DoorOpen size={18} aria-hidden />
            <span className="cut">{t("badRoom.open", { room: better })}</span>
          </button>
        )
      }
    >
      <bdi className="room-chip">{roomName}</bdi>
      <p role="alert">{t(`badRoom.${problem}`)}</p>
      <p>{t("landing.problem.invalid")}</p>
    </Page>
  );
}

interface PageProps {
  config: ServerConfig;
  testId: string;
  title: string;
  icon: ReactNode;
  /** The way on that fits best. */
  first?: ReactNode;
  children: ReactNode;
}

function Page({ config, testId, title, icon, first = null, children }: PageProps) {
  const { t } = useTranslation();
  const making = useMakeRoom(config);
  return (
    <div className="page">
      <header className="top-bar">
        <Brand name={config.name} />
        <LangSwitch />
      </header>
      <main className="end-page">
        <div className="card end-card" data-testid={testId}>
          <span className="end-icon warn">{icon}</span>
          <h1>{title}</h1>
          {children}
          <div className="end-actions">
            {first}
            <button
              type="button"
              className={first ? "button large" : "button primary large"}
              data-testid="home"
              onClick={() => {
                navigate("/");
              }}
            >
              <House size={18} aria-hidden />
              {t("left.home")}
            </button>
            <button type="button" className="button large" disabled={making.busy} onClick={making.make}>
              <Plus size={18} aria-hidden />
              {t("landing.newRoom")}
            </button>
          </div>
          {making.problem !== null && (
            <p className="problem" role="alert">
              {t(`joinProblem.${making.problem}`)}
            </p>
          )}
        </div>
      </main>
    </div>
  );
}
