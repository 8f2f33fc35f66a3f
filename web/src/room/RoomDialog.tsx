import type { Translate } from "../i18n/translate";
import { PenTool } from "lucide-react";
import { type ReactNode, useCallback, useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { reaches } from "../lib/api";
import { keptKey, recoveryLink, roomLink } from "../lib/keys";
import { CopyButton } from "../components/CopyButton";
import { Dialog } from "../components/Dialog";
import { navigate } from "../lib/router";
import type { Policy, RoomChange } from "../log/rest";
import { LaterConnection } from "./LaterConnection";
import { Bans, Invitations, Members } from "./RoomLists";
import { type RoomLive, useRoomState } from "./RoomLive";
import { EntryRules, Retention, TitleField } from "./RoomRules";
import { TakeAlong } from "./TakeAlong";
import { durationText } from "./duration";

interface Props {
  live: RoomLive;
  /** Opens the whiteboard; not outside of a call. */
  onBoard?: () => void;
  onClose: () => void;
}

/** What a room is and keeps, for everybody; what its owners and moderators decide, for them. */
export function RoomDialog({ live, onBoard, onClose }: Props) {
  const { t } = useTranslation();
  const { role, policy } = useRoomState(live.log);
  const { change, saved } = useChange(live);
  const moderates = reaches(role, "moderator");
  const owns = role === "owner";

  return (
    <Dialog title={t(moderates ? "room.title" : "room.menu")} testId="room-dialog" onClose={onClose}>
      <Links live={live} owns={owns} />
      {onBoard !== undefined && (
        <BoardButton
          onOpen={() => {
            onClose();
            onBoard();
          }}
        />
      )}
      <Kept live={live} policy={policy} />
      <p className={saved === false ? "problem" : "hint"} role="status" data-testid="room-saved">
        {saved === null ? "" : t(saved ? "room.saved" : "room.failed")}
      </p>
      {owns && <TitleField live={live} onChange={change} />}
      {moderates && <EntryRules live={live} owns={owns} onChange={change} />}
      {owns && <Retention policy={policy} onChange={change} />}
      {moderates && <Invitations live={live} owns={owns} />}
      <Members live={live} owns={owns} />
      {moderates && <Bans live={live} />}
      <PastCalls live={live} />
      {owns && <TakeAlong archives={live.archives} />}
      {owns && <DeleteRoom live={live} />}
    </Dialog>
  );
}

/** How calls went: for hosts everybody's connection, for others their own. */
function PastCalls({ live }: { live: RoomLive }) {
  const { t } = useTranslation("hosts");
  const { me } = useRoomState(live.log);
  const [open, setOpen] = useState(false);
  return (
    <Section title={t("lines.past")}>
      <button
        type="button"
        className="button small"
        data-testid="room-connections"
        onClick={() => {
          setOpen(true);
        }}
      >
        {t("lines.menu")}
      </button>
      {open && (
        <LaterConnection
          live={live}
          member={me}
          seq={null}
          onClose={() => {
            setOpen(false);
          }}
        />
      )}
    </Section>
  );
}

function BoardButton({ onOpen }: { onOpen: () => void }) {
  const { t } = useTranslation("drawing");
  return (
    <button type="button" className="button small" data-testid="room-open-board" onClick={onOpen}>
      <PenTool size={17} aria-hidden />
      {t("board.title")}
    </button>
  );
}

/** Saves at once. The new state of the room comes back over the log. */
function useChange(live: RoomLive) {
  const [saved, setSaved] = useState<boolean | null>(null);
  const change = useCallback(
    async (wanted: RoomChange) => {
      setSaved(null);
      try {
        await live.api.change(wanted);
        setSaved(true);
      } catch {
        setSaved(false);
      }
    },
    [live],
  );
  return { saved, change };
}

function Links({ live, owns }: { live: RoomLive; owns: boolean }) {
  const { t } = useTranslation();
  const key = keptKey(live.roomName);
  return (
    <div className="recovery-actions">
      <CopyButton text={roomLink(window.location.origin, live.roomName)} label={t("call.invite")} testId="copy-room-link" />
      {owns && key !== null && (
        <CopyButton text={recoveryLink(window.location.origin, live.roomName, key)} label={t("recovery.copy")} testId="copy-recovery" />
      )}
    </div>
  );
}

/** In plain words: what is kept, for how long, and what the operator can see. */
function Kept({ live, policy }: { live: RoomLive; policy: Policy }) {
  const { t } = useTranslation();
  const [erasesFiles, setErasesFiles] = useState(true);
  useEffect(() => {
    // Without an answer the dialog says nothing of it, as it says nothing else then.
    live.api.state().then(
      (state) => {
        setErasesFiles(state.erasesFiles);
      },
      () => undefined,
    );
  }, [live]);
  return (
    <Section title={t("room.kept")}>
      <p data-testid="room-kept">{keptText(t, policy)}</p>
      {policy.keeps === "nothing" && policy.member_history && <p>{t("room.keptByMembers")}</p>}
      {!erasesFiles && policy.keeps === "log" && <p data-testid="room-kept-longer">{t("room.keptLonger")}</p>}
      {policy.hold && <p>{t("room.keptHold")}</p>}
      <p>{t("room.keptCalls")}</p>
      <p>{t(policy.kind === "sealed" ? "room.operatorSealed" : "room.operator")}</p>
    </Section>
  );
}

function keptText(t: Translate, { keeps, retention_s, retention_from }: Policy): string {
  if (keeps === "nothing") return t("room.keptNothing");
  if (retention_s === null) return t("room.keptLog");
  const time = durationText(t, retention_s);
  return t(retention_from === "reading" ? "room.keptAfterReading" : "room.keptFor", { time });
}

export function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="room-section">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function DeleteRoom({ live }: { live: RoomLive }) {
  const { t } = useTranslation();
  const [asked, setAsked] = useState(false);
  const [failed, setFailed] = useState(false);
  const remove = async () => {
    try {
      await live.api.remove();
      navigate("/");
    } catch {
      setFailed(true);
    }
  };
  if (!asked) {
    return (
      <button
        type="button"
        className="button small danger"
        data-testid="delete-room"
        onClick={() => {
          setAsked(true);
        }}
      >
        {t("room.delete")}
      </button>
    );
  }
  return (
    <div role="alert">
      <p className="problem">{failed ? t("room.failed") : t("room.deleteSure")}</p>
      <div className="recovery-actions">
        <button type="button" className="button small danger" data-testid="delete-room-yes" onClick={() => void remove()}>
          {t("room.delete")}
        </button>
        <button
          type="button"
          className="button quiet small"
          onClick={() => {
            setAsked(false);
          }}
        >
          {t("log.cancel")}
        </button>
      </div>
    </div>
  );
}
