import { useState } from "react";
import { Choice } from "../components/Choice";
import { Confirm, Dialog } from "../components/Dialog";
import { useTranslation } from "../i18n/useTranslation";
import { reaches } from "../lib/api";
import { type RoomLive, useRoomState } from "../room/RoomLive";
import "../styles/lines.css";
import { CallDetails } from "./CallDetails";
import { formats } from "./formats";
import { callLineOf } from "./lines";
import { useLineTexts } from "./texts";
import { type Lines, useLines } from "./useLines";

interface Props {
  live: RoomLive;
  /** Whose connection it is first about. */
  member: string;
  /** The entry that keeps the call that it is first about; null: the call that is under way. */
  seq: number | null;
  onClose: () => void;
}

const NOW = "now";

/** How a call goes, or went, for somebody: for owners and moderators, and of oneself. */
export function ConnectionDialog({ live, member: first, seq, onClose }: Props) {
  const { t } = useTranslation("lines");
  const { t: common } = useTranslation();
  const ready = useLineTexts();
  const { role, me } = useRoomState(live.log);
  const [member, setMember] = useState(first);
  const [call, setCall] = useState(seq === null ? NOW : String(seq));
  const lines = useLines(live, member, seq);
  const moderates = reaches(role, "moderator");
  const names = useNames(live, lines);
  const name = names.get(member) ?? common("event.somebody");
  const people = [...new Set([member, ...(lines.people?.keys() ?? [])])];
  if (!ready) return null;
  return (
    <Dialog title={t("title", { name })} testId="connection" onClose={onClose}>
      {moderates && people.length > 1 && (
        <Choice
          label={t("who")}
          testId="connection-person"
          value={member}
          options={people}
          name={(one) => (one === me ? common("call.nameYou", { name: names.get(one) ?? "" }) : (names.get(one) ?? common("event.somebody")))}
          onChange={(one) => {
            setMember(one);
            setCall(NOW);
          }}
        />
      )}
      {lines.failed && (
        <p className="problem" role="alert" data-testid="connection-failed">
          {t("failed")}
        </p>
      )}
      {lines.people !== null && <Calls live={live} lines={lines} name={name} names={names} call={call} onChoose={setCall} />}
    </Dialog>
  );
}

interface CallsProps {
  live: RoomLive;
  lines: Lines;
  name: string;
  names: ReadonlyMap<string, string>;
  call: string;
  onChoose: (call: string) => void;
}

function Calls({ live, lines, name, names, call, onChoose }: CallsProps) {
  const { t, language } = useTranslation("lines");
  const { policy } = useRoomState(live.log);
  const [asked, setAsked] = useState(false);
  const { day } = formats(language);
  const { now, kept, isMissing } = lines;
  const options = [...(now.length > 0 || isMissing ? [NOW] : []), ...kept.map(({ seq }) => String(seq))];
  const chosen = options.includes(call) ? call : (options[0] ?? NOW);
  const past = kept.find(({ seq }) => String(seq) === chosen);
  const shown = past === undefined ? now : [past];
  return (
    <>
      {options.length > 1 && (
        <Choice
          label={t("call")}
          testId="connection-call"
          value={chosen}
          options={options}
          name={(one) => (one === NOW ? t("now") : day(kept.find(({ seq }) => String(seq) === one)?.left_at_ms ?? 0))}
          onChange={onChoose}
        />
      )}
      {past === undefined && isMissing && <p data-testid="connection-missing">{t("missing", { name })}</p>}
      {shown.length > 0 ? (
        <CallDetails line={callLineOf(shown, lines.atMs)} figures={shown.at(-1)?.line ?? null} subscriptions={shown.flatMap((one) => one.subscriptions)} names={names} />
      ) : (
        !isMissing && <p data-testid="connection-none">{t("none")}</p>
      )}
      {kept.length === 0 && <p className="hint">{t(policy.call_timelines && policy.keeps === "log" ? "noneKept" : "notKept")}</p>}
      <div className="connection-acts">
        {lines.hasEarlier && (
          <button type="button" className="button small" data-testid="connection-earlier" onClick={() => void lines.loadEarlier()}>
            {t("earlier")}
          </button>
        )}
        {kept.length > 0 && (
          <button
            type="button"
            className="button quiet small"
            data-testid="connection-forget"
            onClick={() => {
              setAsked(true);
            }}
          >
            {t("forget", { name })}
          </button>
        )}
      </div>
      {asked && (
        <Confirm
          title={t("forget", { name })}
          text={t("forgetSure", { name })}
          yes={t("forget", { name })}
          onYes={() => void lines.forget()}
          onClose={() => {
            setAsked(false);
          }}
        />
      )}
    </>
  );
}

/** By member: as the server said just now, else as the log says. */
function useNames(live: RoomLive, { people }: Lines): ReadonlyMap<string, string> {
  const { lines } = useRoomState(live.log);
  const names = new Map<string, string>();
  for (const { entry } of lines) if (entry.from !== "" && entry.name !== "") names.set(entry.from, entry.name);
  for (const [member, name] of people ?? []) names.set(member, name);
  return names;
}
