import { ArrowRight, Clock, Link2, LoaderCircle, Plus, ServerCog, Waypoints, X } from "lucide-react";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { AccountLink } from "../account/AccountLink";
import { Brand } from "../components/Brand";
import { Illustration } from "../components/Illustration";
import { LangSwitch } from "../components/LangSwitch";
import { LegalLinks } from "../components/LegalLinks";
import { UpdateNote } from "../components/UpdateNote";
import { useMakeRoom } from "../hooks/useMakeRoom";
import type { ServerConfig } from "../lib/api";
import { forgetRooms, loadRecent } from "../lib/prefs";
import { keepSecrets } from "../lib/keys";
import { parseRoomInput, roomPath } from "../lib/rooms";
import { navigate } from "../lib/router";

export function Landing({ config }: { config: ServerConfig }) {
  const { t } = useTranslation();
  return (
    <div className="landing">
      <header className="top-bar">
        <Brand name={config.name} />
        <div className="top-actions">
          <AccountLink config={config} />
          <LangSwitch />
        </div>
      </header>
      <UpdateNote />
      <main>
        <section className="hero">
          <div className="hero-text">
            <h1>{config.brand.title || t("landing.title")}</h1>
            <p className="lead">{config.brand.subtitle || t("landing.lead")}</p>
            <Start config={config} />
            <RecentRooms />
          </div>
          <Illustration label={t("landing.illustration")} />
        </section>
        <Points />
      </main>
      <footer className="landing-foot">
        <span>{config.name}</span>
        <a href="/check" data-testid="to-check">
          {t("check.link")}
        </a>
        <LegalLinks />
        {config.version !== "" && <span>{t("landing.version", { version: config.version })}</span>}
      </footer>
    </div>
  );
}

function Start({ config }: { config: ServerConfig }) {
  const { t } = useTranslation();
  const making = useMakeRoom(config);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<"empty" | "invalid" | "foreign" | null>(null);

  const join = (event: SubmitEvent) => {
    event.preventDefault();
    const input = parseRoomInput(text, window.location.origin);
    if (!input.ok) {
      setProblem(input.problem);
      return;
    }
    const hashAt = text.indexOf("#");
    if (hashAt !== -1) keepSecrets(input.room, text.slice(hashAt).trim());
    navigate(roomPath(input.room));
  };

  return (
    <div className="start">
      <button
        type="button"
        className="button primary large"
        data-testid="new-room"
        disabled={making.busy}
        onClick={making.make}
      >
        {making.busy ? <LoaderCircle size={20} className="spin" aria-hidden /> : <Plus size={20} aria-hidden />}
        {t("landing.newRoom")}
      </button>
      {making.problem !== null && (
        <p className="problem" role="alert" data-testid="make-problem">
          {t(`joinProblem.${making.problem}`)}
        </p>
      )}
      <span className="start-or">{t("landing.or")}</span>
      <form className="join-form" onSubmit={join} noValidate>
        <div className="input-with-button">
          <input
            data-testid="room-input"
            aria-label={t("landing.inputLabel")}
            aria-invalid={problem !== null}
            aria-describedby={problem === null ? undefined : "room-problem"}
            placeholder={t("landing.inputPlaceholder")}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            maxLength={2048}
            value={text}
            onChange={(event) => {
              setText(event.target.value);
              setProblem(null);
            }}
          />
          <button type="submit" className="button" data-testid="join-room">
            {t("landing.join")}
            <ArrowRight className="points-on" size={18} aria-hidden />
          </button>
        </div>
        {problem !== null && (
          <p id="room-problem" className="problem" role="alert">
            {t(`landing.problem.${problem}`)}
          </p>
        )}
      </form>
    </div>
  );
}

function RecentRooms() {
  const { t, language } = useTranslation();
  const [rooms, setRooms] = useState(loadRecent);
  if (rooms.length === 0) return null;
  const day = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });
  return (
    <section className="recent" aria-label={t("landing.recent")}>
      <div className="recent-head">
        <h2>
          <Clock size={15} aria-hidden />
          {t("landing.recent")}
        </h2>
        <button
          type="button"
          className="button quiet small"
          onClick={() => {
            forgetRooms();
            setRooms([]);
          }}
        >
          <X size={14} aria-hidden />
          {t("landing.forget")}
        </button>
      </div>
      <ul>
        {rooms.map((entry) => (
          <li key={entry.room}>
            <button
              type="button"
              className="recent-room"
              aria-label={t("landing.openRoom", { room: entry.room })}
              onClick={() => {
                navigate(roomPath(entry.room));
              }}
            >
              <bdi>{entry.room}</bdi>
              <time dateTime={new Date(entry.joinedAtMs).toISOString()}>{day.format(entry.joinedAtMs)}</time>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Points() {
  const { t } = useTranslation();
  const points = [
    { key: "link", icon: Link2 },
    { key: "server", icon: ServerCog },
    { key: "open", icon: Waypoints },
  ] as const;
  return (
    <section className="points">
      {points.map(({ key, icon: Icon }) => (
        <article key={key}>
          <span className="point-icon">
            <Icon size={20} aria-hidden />
          </span>
          <h2>{t(`landing.points.${key}.title`)}</h2>
          <p>{t(`landing.points.${key}.text`)}</p>
        </article>
      ))}
    </section>
  );
}
