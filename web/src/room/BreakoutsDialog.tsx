import { type SubmitEvent, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Dialog } from "../components/Dialog";
import { useBreakouts } from "../hooks/useBreakouts";
import { reaches } from "../lib/api";
import { type BreakoutState, type How, HOWS } from "./breakouts";
import { type RoomLive, useRoomState } from "./RoomLive";

const MAX_ROOMS = 50;
const MORE_S = 300;

interface Props {
  live: RoomLive;
  /** Who is in the call: by member, their name. */
  present: ReadonlyMap<string, string>;
  onClose: () => void;
}

/** For hosts: divide the call, look after the rooms, end them. For others: choose a room. */
export function BreakoutsDialog({ live, present, onClose }: Props) {
  const { t } = useTranslation("hosts");
  const state = useBreakouts(live);
  const { role } = useRoomState(live.log);
  const [failed, setFailed] = useState(false);
  const run: Run = async (act) => {
    setFailed(false);
    try {
      await act();
      return true;
    } catch {
      setFailed(true);
      return false;
    }
  };
  const hosts = reaches(role, "moderator");
  return (
    <Dialog title={t("breakouts.title")} testId="breakouts" onClose={onClose}>
      {failed && (
        <p className="problem" role="alert">
          {t("breakouts.failed")}
        </p>
      )}
      {state?.open === true ? (
        <Rooms live={live} state={state} hosts={hosts} run={run} />
      ) : (
        hosts && <Divide live={live} present={present} run={run} />
      )}
    </Dialog>
  );
}

/** Whether it worked; the dialog says when not. */
type Run = (act: () => Promise<void>) => Promise<boolean>;

function Divide({ live, present, run }: { live: RoomLive; present: ReadonlyMap<string, string>; run: Run }) {
  const { t } = useTranslation("hosts");
  const [count, setCount] = useState(2);
  const [how, setHow] = useState<How>("random");
  const [minutes, setMinutes] = useState("");
  const [places, setPlaces] = useState<Record<string, number>>({});
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const chosen = Object.fromEntries(Object.entries(places).filter(([member, number]) => present.has(member) && number <= count));
    const endsInS = minutes === "" ? null : Number(minutes) * 60;
    void run(() => live.api.openBreakouts({ rooms: count, how, places: how === "hand" ? chosen : {}, endsInS }));
  };
  return (
    <form className="breakout-form" onSubmit={submit}>
      <div className="field">
        <label htmlFor="breakout-count">{t("breakouts.count")}</label>
        <input
          id="breakout-count"
          data-testid="breakout-count"
          type="number"
          min={1}
          max={MAX_ROOMS}
          required
          value={count}
          onChange={({ target }) => {
            setCount(Math.max(1, Math.min(MAX_ROOMS, Math.round(target.valueAsNumber) || 1)));
          }}
        />
      </div>
      <fieldset>
        <legend>{t("breakouts.howTitle")}</legend>
        {HOWS.map((one) => (
          <label key={one}>
            <input
              type="radio"
              name="breakout-how"
              data-testid={`breakout-how-${one}`}
              checked={how === one}
              onChange={() => {
                setHow(one);
              }}
            />
            {t(`breakouts.how.${one}`)}
          </label>
        ))}
      </fieldset>
      {how === "hand" && <ByHand present={present} count={count} places={places} onChange={setPlaces} />}
      <div className="field">
        <label htmlFor="breakout-minutes">{t("breakouts.minutes")}</label>
        <input
          id="breakout-minutes"
          data-testid="breakout-minutes"
          type="number"
          min={1}
          max={1440}
          placeholder={t("breakouts.noEnd")}
          value={minutes}
          onChange={({ target }) => {
            setMinutes(target.value);
          }}
        />
      </div>
      <p className="breakout-note">{t(live.sealed === null ? "breakouts.note" : "breakouts.noteSealed")}</p>
      <button type="submit" className="button primary" data-testid="start-breakouts">
        {t("breakouts.open")}
      </button>
    </form>
  );
}

interface ByHandProps {
  present: ReadonlyMap<string, string>;
  count: number;
  places: Readonly<Record<string, number>>;
  onChange: (places: Record<string, number>) => void;
}

function ByHand({ present, count, places, onChange }: ByHandProps) {
  const { t } = useTranslation("hosts");
  return (
    <ul className="breakout-people">
      {[...present].map(([member, name]) => (
        <li key={member} data-name={name}>
          <bdi>{name}</bdi>
          <PlaceSelect
            name={name}
            count={count}
            number={places[member] ?? 0}
            onChange={(number) => {
              onChange({ ...places, [member]: number });
            }}
          />
        </li>
      ))}
      {present.size <= 1 && <li className="nobody">{t("breakouts.alone")}</li>}
    </ul>
  );
}

interface PlaceProps {
  name: string;
  count: number;
  number: number;
  onChange: (number: number) => void;
}

function PlaceSelect({ name, count, number, onChange }: PlaceProps) {
  const { t } = useTranslation("hosts");
  return (
    <select
      data-testid="place"
      aria-label={t("breakouts.placeOf", { name })}
      value={Math.min(number, count)}
      onChange={({ target }) => {
        onChange(Number(target.value));
      }}
    >
      {Array.from({ length: count + 1 }, (_, one) => (
        <option key={one} value={one}>
          {one === 0 ? t("breakouts.main") : t("breakouts.room", { number: one })}
        </option>
      ))}
    </select>
  );
}

function Rooms({ live, state, hosts, run }: { live: RoomLive; state: BreakoutState; hosts: boolean; run: Run }) {
  const { t } = useTranslation("hosts");
  const { api } = live;
  const count = state.rooms.length - 1;
  return (
    <>
      <ul className="breakout-rooms">
        {state.rooms.map(({ number, people }) => (
          <li key={number} data-testid="breakout-room" data-room={number} data-mine={number === state.mine}>
            <h3>
              {number === 0 ? t("breakouts.main") : t("breakouts.room", { number })}
              {number !== state.mine && (hosts || state.how === "choice" || number === 0) && (
                <button type="button" className="button quiet small" data-testid="go" onClick={() => void run(() => api.goTo(number))}>
                  {t("breakouts.go")}
                </button>
              )}
            </h3>
            <ul className="breakout-people">
              {people.length === 0 && <li className="nobody">{t("breakouts.nobody")}</li>}
              {people.map(({ member, name }) => (
                <li key={member} data-testid="breakout-person" data-name={name}>
                  <bdi>{name}</bdi>
                  {hosts && (
                    <PlaceSelect
                      name={name}
                      count={count}
                      number={number}
                      onChange={(wanted) => void run(() => api.moveTo(member, wanted))}
                    />
                  )}
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
      {hosts && <Announce live={live} />}
      {hosts && (
        <div className="breakout-acts">
          <button
            type="button"
            className="button"
            data-testid="more-time"
            onClick={() => {
              const leftS = state.endsAtMs === null ? 0 : Math.max(0, (state.endsAtMs - Date.now()) / 1000);
              void run(() => api.endBreakoutsIn(leftS + MORE_S));
            }}
          >
            {t(state.endsAtMs === null ? "breakouts.endSoon" : "breakouts.more")}
          </button>
          <button type="button" className="button danger" data-testid="end-breakouts" onClick={() => void run(() => api.closeBreakouts())}>
            {t("breakouts.end")}
          </button>
        </div>
      )}
    </>
  );
}

/** A message that everybody sees at once, in whichever room they are. */
function Announce({ live }: { live: RoomLive }) {
  const { t } = useTranslation("hosts");
  const [words, setWords] = useState("");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (words.trim() === "") return;
    live.write({ verb: "message", body: { text: words.trim(), announce: true } });
    setWords("");
  };
  return (
    <form className="field" onSubmit={submit}>
      <label htmlFor="breakout-words">{t("breakouts.announce")}</label>
      <div className="input-with-button">
        <input
          id="breakout-words"
          data-testid="announce-words"
          maxLength={500}
          value={words}
          onChange={({ target }) => {
            setWords(target.value);
          }}
        />
        <button type="submit" className="button" data-testid="announce" disabled={words.trim() === ""}>
          {t("breakouts.send")}
        </button>
      </div>
    </form>
  );
}
