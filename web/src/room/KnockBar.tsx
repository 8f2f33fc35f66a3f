import { Check, DoorOpen, MicOff, X } from "lucide-react";
import { useMemo, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { reaches } from "../lib/api";
import type { Entry } from "../log/entries";
import type { Knock } from "../log/roomState";
import { type RoomLive, useRoomNews, useRoomState } from "./RoomLive";

/** Who knocks, for those who may let in: in the call and outside of it. */
export function KnockBar({ live }: { live: RoomLive }) {
  const knocks = useKnocks(live);
  const { t } = useTranslation();
  if (knocks.length === 0) return null;
  const title = t("knock.title", { count: knocks.length });
  return (
    <section className="knock-bar" data-testid="knock-bar" role="status" aria-label={title}>
      <h2>
        <DoorOpen size={17} aria-hidden />
        {title}
      </h2>
      <KnockList live={live} knocks={knocks} testId="knock" />
    </section>
  );
}

/** The same as a part of the list of people. */
export function AtTheDoor({ live }: { live: RoomLive }) {
  const knocks = useKnocks(live);
  const { t } = useTranslation();
  if (knocks.length === 0) return null;
  return (
    <section className="at-the-door" data-testid="at-the-door">
      <h3>{t("knock.door", { count: knocks.length })}</h3>
      <KnockList live={live} knocks={knocks} testId="door-knock" />
    </section>
  );
}

function useKnocks(live: RoomLive): readonly Knock[] {
  const { knocks, role } = useRoomState(live.log);
  return reaches(role, "moderator") ? knocks : [];
}

function KnockList({ live, knocks, testId }: { live: RoomLive; knocks: readonly Knock[]; testId: string }) {
  const { t } = useTranslation();
  // Somebody else may have been faster: the list that follows says what became of it.
  const answer = (id: string, admit: boolean) => () => void live.api.answerKnock(id, admit).catch(() => undefined);
  return (
    <ul className="knocks">
      {knocks.map(({ id, name, note }) => (
        <li key={id} data-testid={testId} data-name={name}>
          <span className="knock-who" dir="auto">
            <bdi>{name}</bdi>
            {note !== "" && <small>{note}</small>}
          </span>
          <button type="button" className="button primary small" data-testid="admit" onClick={answer(id, true)}>
            <Check size={16} aria-hidden />
            {t("knock.admit")}
          </button>
          <button type="button" className="icon-button" data-testid="deny" aria-label={t("knock.deny")} onClick={answer(id, false)}>
            <X size={18} aria-hidden />
          </button>
        </li>
      ))}
    </ul>
  );
}

/** A host's wish that one speaks; whoever is asked decides. */
export function AskedToUnmute({ live, micOn, onUnmute }: { live: RoomLive; micOn: boolean; onUnmute: () => void }) {
  const { t } = useTranslation();
  const [by, setBy] = useState<string | null>(null);
  const news = useMemo(
    () => ({
      onEntry: ({ verb, body, name }: Entry) => {
        if (verb === "moderation" && body?.act === "ask_unmute" && body.who === live.log.state.me) setBy(name);
      },
    }),
    [live],
  );
  useRoomNews(live, news);
  if (by === null || micOn) return null;
  return (
    <section className="knock-bar" data-testid="asked-to-unmute" role="alert">
      <ul>
        <li>
          <MicOff size={17} aria-hidden />
          <span className="knock-who">{t("host.asked", { name: by })}</span>
          <button
            type="button"
            className="button primary small"
            onClick={() => {
              setBy(null);
              onUnmute();
            }}
          >
            {t("host.unmute")}
          </button>
          <button
            type="button"
            className="button quiet small"
            onClick={() => {
              setBy(null);
            }}
          >
            {t("host.notNow")}
          </button>
        </li>
      </ul>
    </section>
  );
}
