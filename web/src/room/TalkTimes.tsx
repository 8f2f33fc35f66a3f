import { useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { TalkTime } from "../log/rest";
import type { RoomLive } from "./RoomLive";
import { clockTime } from "./duration";

const REFRESH_MS = 3000;

/** Who has talked how long in this call, as the server has counted it. */
export function TalkTimes({ live }: { live: RoomLive }) {
  const { t } = useTranslation("hosts");
  const [open, setOpen] = useState(false);
  return (
    <details
      className="talk-times"
      data-testid="talk-times"
      onToggle={({ currentTarget }) => {
        setOpen(currentTarget.open);
      }}
    >
      <summary>{t("talk.title")}</summary>
      {open && <Times live={live} />}
    </details>
  );
}

function Times({ live }: { live: RoomLive }) {
  const { t } = useTranslation("hosts");
  const { people, failed } = useTalkTimes(live);
  const longest = people?.[0]?.seconds ?? 0;
  return (
    <>
      {failed && <p className="problem" role="alert">{t("talk.failed")}</p>}
      {people?.length === 0 && <p>{t("talk.none")}</p>}
      <ol>
        {people?.map(({ identity, name, seconds, present }) => (
          <li key={identity} data-testid="talk-time" data-name={name} data-seconds={seconds}>
            <bdi>{name}</bdi>
            {!present && <small>{t("talk.gone")}</small>}
            <meter aria-hidden min={0} max={Math.max(1, longest)} value={seconds} />
            <time dateTime={`PT${Math.round(seconds)}S`}>{clockTime(seconds)}</time>
          </li>
        ))}
      </ol>
      <small>{t("talk.note")}</small>
    </>
  );
}

function useTalkTimes({ api }: RoomLive): { people: readonly TalkTime[] | null; failed: boolean } {
  const [state, setState] = useState<{ people: readonly TalkTime[] | null; failed: boolean }>({ people: null, failed: false });
  useEffect(() => {
    let timer: number | undefined;
    let over = false;
    const ask = async () => {
      try {
        const people = await api.talkTimes();
        if (!over) setState({ people, failed: false });
      } catch {
        if (!over) setState(({ people }) => ({ people, failed: true }));
      }
      if (!over) timer = window.setTimeout(() => void ask(), REFRESH_MS);
    };
    void ask();
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, [api]);
  return state;
}
