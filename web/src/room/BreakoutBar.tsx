import { DoorOpen, Hand, LogOut, Megaphone, X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { laterDialog } from "../components/later";
import { reaches } from "../lib/api";
import { cleanMessage } from "../lib/chat";
import { text } from "../lib/api";
import type { Entry } from "../log/entries";
import { useBreakouts } from "../hooks/useBreakouts";
import type { BreakoutState, Named } from "./breakouts";
import { clockTime } from "./duration";
import { type RoomLive, useRoomNews, useRoomState } from "./RoomLive";

const BreakoutsDialog = laterDialog(async () => (await import("./BreakoutsDialog")).BreakoutsDialog);

/** From here on everybody is warned. */
const WARN_S = 60;

/** While there are breakout rooms: where one is, how long still, and what one can do about it. */
export function BreakoutBar({ live, present }: { live: RoomLive; present: ReadonlyMap<string, string> }) {
  const state = useBreakouts(live);
  return (
    <>
      <Announcement live={live} />
      {state?.open === true && <OpenBar live={live} state={state} present={present} />}
    </>
  );
}

interface BarProps {
  live: RoomLive;
  state: BreakoutState;
  present: ReadonlyMap<string, string>;
}

function OpenBar({ live, state, present }: BarProps) {
  const { t } = useTranslation("hosts");
  const { role, me } = useRoomState(live.log);
  const [isOpen, setOpen] = useState(false);
  const leftS = useLeft(state.endsAtMs);
  const hosts = reaches(role, "moderator");
  const asks = state.help.some(({ member }) => member === me);
  const { api } = live;
  // What did not work is seen in the state that stays as it is.
  const run = (act: Promise<void>) => void act.catch(() => undefined);
  return (
    <section className="breakout-bar" data-testid="breakout-bar" data-room={state.mine} aria-label={t("breakouts.title")}>
      <p>
        <DoorOpen size={17} aria-hidden />
        <strong>{state.mine === 0 ? t("breakouts.inMain") : t("breakouts.in", { number: state.mine })}</strong>
        {leftS !== null && <span data-testid="breakouts-left">{t("breakouts.endsIn", { time: clockTime(leftS) })}</span>}
      </p>
      {leftS !== null && leftS <= WARN_S && (
        <p className="breakout-warn" role="alert">
          {t("breakouts.warn")}
        </p>
      )}
      <div className="breakout-acts">
        {state.mine !== 0 && !hosts && (
          <button
            type="button"
            className="button small"
            data-testid="ask-for-help"
            aria-pressed={asks}
            onClick={() => {
              run(api.askForHelp(!asks));
            }}
          >
            <Hand size={16} aria-hidden />
            {t(asks ? "breakouts.helpAsked" : "breakouts.help")}
          </button>
        )}
        {state.mine !== 0 && (
          <button
            type="button"
            className="button small"
            data-testid="back-to-main"
            onClick={() => {
              run(api.goTo(0));
            }}
          >
            <LogOut className="points-on" size={16} aria-hidden />
            {t("breakouts.back")}
          </button>
        )}
        {(hosts || state.how === "choice") && (
          <button
            type="button"
            className="button small"
            data-testid="open-breakouts"
            onClick={() => {
              setOpen(true);
            }}
          >
            {t("breakouts.manage")}
          </button>
        )}
      </div>
      {hosts && <Help live={live} state={state} />}
      {isOpen && (
        <BreakoutsDialog
          live={live}
          present={present}
          onClose={() => {
            setOpen(false);
          }}
        />
      )}
    </section>
  );
}

/** Who asks for a host, and the way there. */
function Help({ live, state }: { live: RoomLive; state: BreakoutState }) {
  const { t } = useTranslation("hosts");
  const placeOf = ({ member }: Named) => state.rooms.find(({ people }) => people.some((one) => one.member === member))?.number ?? 0;
  const asking = state.help.map((one) => ({ ...one, number: placeOf(one) }));
  return (
    <ul role="status">
      {asking.map(({ member, name, number }) => (
        <li key={member} data-testid="help-wanted" data-name={name}>
          <span>{t("breakouts.helpFor", { name, number })}</span>
          <button
            type="button"
            className="button primary small"
            data-testid="go-help"
            onClick={() => void live.api.goTo(number).catch(() => undefined)}
          >
            {t("breakouts.goThere")}
          </button>
        </li>
      ))}
    </ul>
  );
}

/** What a host says to all rooms, until one has read it. */
function Announcement({ live }: { live: RoomLive }) {
  const { t } = useTranslation("hosts");
  const { t: common } = useTranslation();
  const [said, setSaid] = useState<{ name: string; words: string } | null>(null);
  useRoomNews(
    live,
    useMemo(
      () => ({
        onEntry: ({ verb, body, from, name }: Entry) => {
          const { hosts } = live.breakouts.state;
          // In a sealed room the server cannot see what it is: whoever is a host is asked here.
          if (verb !== "message" || body?.announce !== true || from === live.log.state.me || !hosts.includes(from)) return;
          setSaid({ name, words: cleanMessage(text(body.text)) });
        },
      }),
      [live],
    ),
  );
  if (said === null) return null;
  return (
    <section className="breakout-bar announcement" data-testid="announcement" role="alert">
      <p>
        <Megaphone size={17} aria-hidden />
        <strong>{t("breakouts.announced", { name: said.name })}</strong>{" "}
        <span dir="auto">{said.words}</span>
      </p>
      <button
        type="button"
        className="icon-button"
        data-testid="close-announcement"
        aria-label={common("call.close")}
        onClick={() => {
          setSaid(null);
        }}
      >
        <X size={18} aria-hidden />
      </button>
    </section>
  );
}

/** Seconds until then, while somebody looks; null: never. */
function useLeft(endsAtMs: number | null): number | null {
  const [nowMs, setNowMs] = useState(Date.now);
  useEffect(() => {
    if (endsAtMs === null) return;
    const timer = window.setInterval(() => {
      setNowMs(Date.now());
    }, 1000);
    return () => {
      window.clearInterval(timer);
    };
  }, [endsAtMs]);
  return endsAtMs === null ? null : Math.max(0, Math.ceil((endsAtMs - nowMs) / 1000));
}
