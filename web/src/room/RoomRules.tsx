import { type SubmitEvent, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Switch } from "../components/Switch";
import { ENTRY_MODES, type EntryMode } from "../lib/api";
import type { Policy, RoomChange } from "../log/rest";
import { durationText } from "./duration";
import { type RoomLive, useRoomState } from "./RoomLive";

type OnChange = (change: RoomChange) => Promise<void>;

const TIMES_S = [60, 3600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400];
const FOREVER = "forever";
const NOTHING = "nothing";

export function TitleField({ live, onChange }: { live: RoomLive; onChange: OnChange }) {
  const { t } = useTranslation();
  const { title } = useRoomState(live.log);
  const [text, setText] = useState(title);
  const wanted = text.trim();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (wanted !== "" && wanted !== title) void onChange({ title: wanted });
  };
  return (
    <form className="field" onSubmit={submit}>
      <label htmlFor="room-title">{t("room.name")}</label>
      <div className="input-with-button">
        <input
          id="room-title"
          data-testid="title-input"
          maxLength={128}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
          }}
        />
        <button type="submit" className="button" data-testid="save-title" disabled={wanted === "" || wanted === title}>
          {t("room.save")}
        </button>
      </div>
    </form>
  );
}

export function EntryRules({ live, owns, onChange }: { live: RoomLive; owns: boolean; onChange: OnChange }) {
  const { t } = useTranslation();
  const { policy } = useRoomState(live.log);
  const [wantsPassword, setWantsPassword] = useState(false);
  const choose = (entry: EntryMode) => {
    // Without a password the server would refuse; it comes first.
    setWantsPassword(entry === "password");
    if (entry !== "password") void onChange({ policy: { entry } });
  };
  return (
    <>
      <div className="field">
        <label htmlFor="room-entry">{t("room.entry")}</label>
        <div className="select">
          <select
            id="room-entry"
            data-testid="room-entry"
            value={wantsPassword ? "password" : policy.entry}
            onChange={(event) => {
              choose(ENTRY_MODES.find((mode) => mode === event.target.value) ?? "open");
            }}
          >
            {ENTRY_MODES.map((mode) => (
              <option key={mode} value={mode}>
                {t(`room.entryMode.${mode}`)}
              </option>
            ))}
          </select>
        </div>
      </div>
      {(wantsPassword || policy.entry === "password") && (
        <PasswordField
          isSet={policy.entry === "password"}
          onSave={(password) => {
            setWantsPassword(false);
            void onChange({ password, policy: { entry: "password" } });
          }}
        />
      )}
      <Switch label={t("room.locked")} testId="room-locked" on={policy.locked} onChange={(locked) => void onChange({ policy: { locked } })} />
      <Switch
        label={t("room.guestsWrite")}
        testId="guests-write"
        on={policy.guests_write}
        onChange={(guests_write) => void onChange({ policy: { guests_write } })}
      />
      {owns && (
        <>
          <Switch label={t("room.history")} testId="room-history" on={policy.history} onChange={(history) => void onChange({ policy: { history } })} />
          <Switch
            label={t("room.readMarks")}
            testId="read-marks"
            on={policy.read_markers}
            onChange={(read_markers) => void onChange({ policy: { read_markers } })}
          />
          {policy.keeps === "log" && (
            <Switch
              label={t("room.callTimelines")}
              testId="call-timelines"
              on={policy.call_timelines}
              onChange={(call_timelines) => void onChange({ policy: { call_timelines } })}
            />
          )}
        </>
      )}
    </>
  );
}

function PasswordField({ isSet, onSave }: { isSet: boolean; onSave: (password: string) => void }) {
  const { t } = useTranslation();
  const [password, setPassword] = useState("");
  return (
    <form
      className="field"
      onSubmit={(event: SubmitEvent) => {
        event.preventDefault();
        if (password !== "") onSave(password);
        setPassword("");
      }}
    >
      <label htmlFor="new-room-password">{t("room.password")}</label>
      <div className="input-with-button">
        <input
          id="new-room-password"
          data-testid="new-room-password"
          type="password"
          autoComplete="new-password"
          maxLength={256}
          value={password}
          onChange={(event) => {
            setPassword(event.target.value);
          }}
        />
        <button type="submit" className="button" data-testid="save-password" disabled={password === ""}>
          {t("room.save")}
        </button>
      </div>
      <p className="hint">{t(isSet ? "room.passwordSet" : "room.passwordNeeded")}</p>
    </form>
  );
}

export function Retention({ policy, onChange }: { policy: Policy; onChange: OnChange }) {
  const { t } = useTranslation();
  const { keeps, retention_s, retention_from, hold } = policy;
  const value = keeps === "nothing" ? NOTHING : retention_s === null ? FOREVER : `${retention_s}`;
  const times = retention_s === null || TIMES_S.includes(retention_s) ? TIMES_S : [...TIMES_S, retention_s].sort((a, b) => a - b);
  const choose = (chosen: string) => {
    if (chosen === NOTHING) void onChange({ policy: { keeps: "nothing" } });
    else void onChange({ policy: { keeps: "log", retention_s: chosen === FOREVER ? null : Number(chosen) } });
  };
  return (
    <>
      <div className="field">
        <label htmlFor="room-retention">{t("room.retention")}</label>
        <div className="select">
          <select
            id="room-retention"
            data-testid="room-retention"
            value={value}
            onChange={(event) => {
              choose(event.target.value);
            }}
          >
            <option value={FOREVER}>{t("room.forever")}</option>
            {times.map((seconds) => (
              <option key={seconds} value={seconds}>
                {durationText(t, seconds)}
              </option>
            ))}
            <option value={NOTHING}>{t("room.nothing")}</option>
          </select>
        </div>
      </div>
      {retention_s !== null && keeps === "log" && (
        <Switch
          label={t("room.fromReading")}
          testId="from-reading"
          on={retention_from === "reading"}
          onChange={(on) => void onChange({ policy: { retention_from: on ? "reading" : "sending" } })}
        />
      )}
      {keeps === "nothing" && (
        <Switch
          label={t("room.memberHistory")}
          testId="member-history"
          on={policy.member_history}
          onChange={(member_history) => void onChange({ policy: { member_history } })}
        />
      )}
      <Switch label={t("room.hold")} testId="room-hold" on={hold} onChange={(on) => void onChange({ policy: { hold: on } })} />
    </>
  );
}
