import type { Translate } from "../i18n/translate";
import { ArrowLeft, LoaderCircle, MessageSquare, TriangleAlert, Users } from "lucide-react";
import { type SubmitEvent, useEffect, useState, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { AccountLink } from "../account/AccountLink";
import { BackgroundNotice } from "../components/BackgroundNotice";
import { Brand } from "../components/Brand";
import { ElsewhereNote } from "../components/ElsewhereNote";
import { LegalLinks } from "../components/LegalLinks";
import { LangSwitch } from "../components/LangSwitch";
import { SealBadge } from "../components/SealBadge";
import { forgetWithheld } from "../effects/background";
import { useDoor } from "../hooks/useDoor";
import { usePreparedRoom } from "../hooks/useLastingRoom";
import type { RoomSummary, ServerConfig } from "../lib/api";
import type { JoinProblem } from "../lib/joinProblem";
import { Preview, type PreviewState } from "../lib/preview";
import { navigate } from "../lib/router";
import type { Visit, VisitState } from "../lib/visit";
import { type DoorAnswers, DoorFields, RecoveryNote, Waiting } from "./DoorParts";
import { DeviceProblems, Devices, PreviewBox } from "./LobbyMedia";

interface Props {
  config: ServerConfig;
  roomName: string;
  visit: Visit;
  /** Whether this browser is in the room with another tab. */
  elsewhere: boolean;
  joining: boolean;
  /** At the door, until somebody answers the knock. */
  waiting: boolean;
  problem: JoinProblem | null;
  onJoin: (preview: Preview, answers: DoorAnswers) => void;
  onJoinSilent: (answers: DoorAnswers) => void;
  onOpenChat: (answers: DoorAnswers) => void;
  onCancel: () => void;
}

/** The device check: how one looks and sounds, before anybody else does. */
export function Lobby(props: Props) {
  const { config, visit, roomName, waiting, onCancel } = props;
  const door = useDoor(roomName);
  usePreparedRoom(door?.lasts === true ? door.kind : undefined);
  const chosen = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const [preview] = useState(() => new Preview(visit.state));
  const media = useSyncExternalStore(preview.subscribe, preview.snapshot);

  useEffect(() => {
    forgetWithheld();
    void preview.start();
    return () => {
      preview.dispose();
    };
  }, [preview]);

  const change = (part: Partial<VisitState>) => {
    visit.choose(part);
  };

  return (
    <div className="page lobby">
      <header className="top-bar">
        <Brand name={config.name} />
        <div className="top-actions">
          <AccountLink config={config} />
          <LangSwitch />
        </div>
      </header>
      <main className="lobby-main">
        <section className="lobby-media">
          <PreviewBox media={media} preview={preview} name={chosen.name} onToggle={change} />
          <DeviceProblems media={media} />
          <BackgroundNotice
            camera={media.camera}
            onUncover={() => {
              visit.note({ background: "none" });
              if (media.camera === null) void preview.setOn("camera", true);
            }}
            onTryAgain={() => void preview.setOn("camera", true)}
          />
        </section>
        {waiting ? (
          <Waiting door={door} onCancel={onCancel} />
        ) : (
          <LobbyForm {...props} door={door} chosen={chosen} media={media} preview={preview} onChange={change} />
        )}
      </main>
      <LegalLinks />
    </div>
  );
}

interface LobbyFormProps extends Props {
  door: RoomSummary | null | undefined;
  chosen: VisitState;
  media: PreviewState;
  preview: Preview;
  onChange: (part: Partial<VisitState>) => void;
}

function LobbyForm({ door, chosen, media, preview, onChange, ...props }: LobbyFormProps) {
  const { roomName, visit, elsewhere, joining, problem, onJoin, onJoinSilent, onOpenChat } = props;
  const { t } = useTranslation();
  const [nameMissing, setNameMissing] = useState(false);
  const [answers, setAnswers] = useState<DoorAnswers>({ password: "", note: "" });

  const join = (enter: () => void) => {
    const name = chosen.name.trim();
    setNameMissing(name === "");
    if (name === "") return;
    visit.choose({ name });
    // A device that did not open is off, which is no choice for the next visit.
    visit.note({ cameraOn: media.cameraOn, micOn: media.micOn });
    enter();
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    join(() => {
      onJoin(preview, answers);
    });
  };
  const joinSilent = () => {
    join(() => {
      onJoinSilent(answers);
    });
  };
  const openChat = () => {
    join(() => {
      onOpenChat(answers);
    });
  };

  return (
    <form className="card lobby-form" onSubmit={submit} noValidate>
      <div>
        <h1>{t("lobby.title")}</h1>
        <RoomLine roomName={roomName} door={door} />
      </div>
      <RecoveryNote roomName={roomName} />
      <NameField
        value={chosen.name}
        missing={nameMissing}
        onChange={(name) => {
          onChange({ name });
          setNameMissing(false);
        }}
      />
      <DoorFields
        roomName={roomName}
        door={door}
        passwordNeeded={problem === "password_needed" || problem === "wrong_password"}
        answers={answers}
        onChange={(part) => {
          setAnswers({ ...answers, ...part });
        }}
      />
      {/* The way in before the devices, which are a long list: it is in sight then. */}
      {problem !== null && <JoinProblemBox problem={problem} />}
      {elsewhere && <ElsewhereNote disabled={joining} onJoinSilent={joinSilent} />}
      <button type="submit" className="button primary large wide" data-testid="join-call" disabled={joining}>
        {joining && <LoaderCircle size={18} className="spin" aria-hidden />}
        {joinLabel(joining, elsewhere, media, t)}
      </button>
      {door?.lasts === true && (
        <button type="button" className="button wide" data-testid="open-chat" disabled={joining} onClick={openChat}>
          <MessageSquare size={18} aria-hidden />
          {t("lobby.openChat")}
        </button>
      )}
      <Devices media={media} preview={preview} prefs={chosen} onChange={onChange} />
      <BackButton />
    </form>
  );
}

function JoinProblemBox({ problem }: { problem: JoinProblem }) {
  const { t } = useTranslation();
  return (
    <p className="problem boxed" role="alert" data-testid="join-problem">
      <TriangleAlert size={18} aria-hidden />
      <span>
        {t(`joinProblem.${problem}`)}
        {problem === "media_blocked" && (
          <>
            {" "}
            <a href="/check">{t("check.link")}</a>
          </>
        )}
      </span>
    </p>
  );
}

function BackButton() {
  const { t } = useTranslation();
  return (
    <button
      type="button"
      className="button quiet wide"
      onClick={() => {
        navigate("/");
      }}
    >
      <ArrowLeft className="points-on" size={16} aria-hidden />
      {t("lobby.back")}
    </button>
  );
}

function NameField({ value, missing, onChange }: { value: string; missing: boolean; onChange: (name: string) => void }) {
  const { t } = useTranslation();
  return (
    <div className="field">
      <label htmlFor="name">{t("lobby.name")}</label>
      <input
        id="name"
        data-testid="name-input"
        autoComplete="name"
        maxLength={64}
        placeholder={t("lobby.namePlaceholder")}
        aria-invalid={missing}
        aria-describedby={missing ? "name-problem" : undefined}
        value={value}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      />
      {missing && (
        <p id="name-problem" className="problem" role="alert">
          {t("lobby.nameMissing")}
        </p>
      )}
    </div>
  );
}

function joinLabel(joining: boolean, elsewhere: boolean, media: PreviewState, t: Translate): string {
  if (joining) return t("lobby.joining");
  if (elsewhere) return t("elsewhere.move");
  return media.cameraProblem !== null && media.micProblem !== null ? t("lobby.joinWithout") : t("lobby.join");
}

function titleOf(door: RoomSummary | null | undefined, roomName: string): string {
  return door === null || door === undefined || door.title === "" ? roomName : door.title;
}

function RoomLine({ roomName, door }: { roomName: string; door: RoomSummary | null | undefined }) {
  const { t } = useTranslation();
  const count = door?.numParticipants ?? 0;
  return (
    <p className="room-line">
      <bdi className="room-chip" data-testid="room-title">
        {titleOf(door, roomName)}
      </bdi>
      {door !== null && door !== undefined && <SealBadge kind={door.kind} />}
      {door !== undefined && (
        <span className="room-count" data-testid="room-count">
          <Users size={15} aria-hidden />
          {count === 0 ? t("lobby.empty") : t("lobby.here", { count })}
        </span>
      )}
    </p>
  );
}
