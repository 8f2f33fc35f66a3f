import { DoorClosed, KeyRound, LockKeyhole, X } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { CopyButton } from "../components/CopyButton";
import type { RoomSummary } from "../lib/api";
import { isRecoveryDue, keptKey, recoveryLink, setRecoveryDue } from "../lib/keys";

/** What a visitor says at the door beside the name. */
export interface DoorAnswers {
  password: string;
  note: string;
}

interface FieldsProps {
  roomName: string;
  door: RoomSummary | null | undefined;
  /** The server has asked for a password, whatever the door looked like before. */
  passwordNeeded: boolean;
  answers: DoorAnswers;
  onChange: (part: Partial<DoorAnswers>) => void;
}

/** What this room's door asks for. */
export function DoorFields({ roomName, door, passwordNeeded, answers, onChange }: FieldsProps) {
  const { t } = useTranslation();
  // Whoever was here before has a key; most doors open to it without a word.
  const isNew = keptKey(roomName) === null;
  const asksPassword = passwordNeeded || (door?.entry === "password" && isNew);
  return (
    <>
      {door?.locked === true && (
        <p className="door-note" data-testid="door-locked">
          <LockKeyhole size={17} aria-hidden />
          {t("door.locked")}
        </p>
      )}
      {asksPassword && (
        <div className="field">
          <label htmlFor="room-password">{t("door.password")}</label>
          <input
            id="room-password"
            data-testid="room-password"
            type="password"
            autoComplete="off"
            maxLength={256}
            aria-describedby="room-password-hint"
            value={answers.password}
            onChange={(event) => {
              onChange({ password: event.target.value });
            }}
          />
          <p id="room-password-hint" className="hint">
            {t("door.passwordHint")}
          </p>
        </div>
      )}
      {door?.entry === "knock" && isNew && (
        <div className="field">
          <label htmlFor="knock-note">{t("door.note")}</label>
          <input
            id="knock-note"
            data-testid="knock-note"
            maxLength={200}
            placeholder={t("door.notePlaceholder")}
            value={answers.note}
            onChange={(event) => {
              onChange({ note: event.target.value });
            }}
          />
        </div>
      )}
    </>
  );
}

interface WaitingProps {
  door: RoomSummary | null | undefined;
  onCancel: () => void;
}

/** At the door, until somebody opens. */
export function Waiting({ door, onCancel }: WaitingProps) {
  const { t } = useTranslation();
  const here = door?.numParticipants ?? 0;
  return (
    <section className="card lobby-form waiting" data-testid="knocking">
      <span className="end-icon">
        <DoorClosed size={28} aria-hidden />
      </span>
      <div role="status">
        <h1>{t("door.knocked")}</h1>
        <p>{t("door.waiting")}</p>
      </div>
      <p className="door-note">{here === 0 ? t("door.nobodyHere") : t("lobby.here", { count: here })}</p>
      <button type="button" className="button wide" data-testid="cancel-knock" onClick={onCancel}>
        {t("door.cancel")}
      </button>
    </section>
  );
}

/** Once, to whoever made the room: the link that proves it on any other device. */
export function RecoveryNote({ roomName }: { roomName: string }) {
  const { t } = useTranslation();
  const [due, setDue] = useState(() => isRecoveryDue(roomName));
  const key = keptKey(roomName);
  if (!due || key === null) return null;
  return (
    <aside className="recovery" data-testid="recovery">
      <p>
        <KeyRound size={18} aria-hidden />
        <span>{t("recovery.text")}</span>
      </p>
      <div className="recovery-actions">
        <CopyButton text={recoveryLink(window.location.origin, roomName, key)} label={t("recovery.copy")} testId="copy-recovery" />
        <button
          type="button"
          className="button quiet small"
          data-testid="dismiss-recovery"
          onClick={() => {
            setRecoveryDue(roomName, false);
            setDue(false);
          }}
        >
          <X size={16} aria-hidden />
          {t("recovery.dismiss")}
        </button>
      </div>
    </aside>
  );
}
