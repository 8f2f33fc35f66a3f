import { ArrowDown, CheckCheck, LoaderCircle, MessageSquare } from "lucide-react";
import { type ReactNode, useRef, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { ShownLine } from "../log/fold";
import type { RoomSnapshot } from "../log/roomState";
import { reaches } from "../lib/api";
import { LaterConnection } from "../room/LaterConnection";
import { type RoomLive, useRoomLive } from "../room/RoomLive";
import { continuesLine, isSaid, nameOf, type People, readersOf, type Row } from "./draft";
import { MessageLine, PendingLine } from "./MessageLine";
import { sentenceOf } from "./sentences";
import type { LineActions } from "./useLineActions";
import { useScrolling } from "./useScrolling";

interface Props {
  live: RoomLive;
  state: RoomSnapshot;
  people: People;
  actions: LineActions;
}

/** The history of the room; older pages come when one scrolls up to them, and newer ones go meanwhile. */
export function Timeline({ live, state, people, actions }: Props) {
  const { t } = useTranslation();
  const { lines, pending, ready, more } = state;
  const list = useRef<HTMLDivElement>(null);
  const scroll = useScrolling(list, live, state);
  const waiting = pending.filter((one) => one.verb === "message" || one.verb === "file" || one.verb === "poll");
  return (
    <div className="timeline">
      <div
        ref={list}
        className="messages"
        role="log"
        aria-label={t("chat.messages")}
        aria-busy={!ready}
        data-testid="timeline"
        tabIndex={0}
        onScroll={scroll.onScroll}
      >
        {more && scroll.isFirst && (
          <button type="button" className="button quiet small load-older" data-testid="load-older" onClick={scroll.loadOlder}>
            {t("log.older")}
          </button>
        )}
        {!ready && (
          <p className="chat-note">
            <LoaderCircle size={16} className="spin" aria-hidden />
            {t("log.loading")}
          </p>
        )}
        {ready && !lines.some(isSaid) && waiting.length === 0 && (
          <div className="panel-empty">
            <MessageSquare size={28} aria-hidden />
            <p>{t(state.policy.keeps === "nothing" ? "log.emptyNothing" : "log.empty")}</p>
          </div>
        )}
        <Lines rows={scroll.shown} lines={lines} state={state} people={people} actions={actions} />
        {scroll.isNewest && waiting.map((one) => <PendingLine key={one.clientId} pending={one} actions={actions} />)}
      </div>
      {scroll.away && (
        <button type="button" className="button small jump" data-testid="jump" onClick={scroll.jump}>
          <ArrowDown size={16} aria-hidden />
          {t("log.jump")}
        </button>
      )}
    </div>
  );
}

type LinesProps = Omit<Props, "live"> & { rows: readonly Row[]; lines: readonly ShownLine[] };

/** Rows of `lines` that follow each other, with what separates them and who has read so far. */
export function Lines({ rows, lines, ...shared }: LinesProps) {
  const { t } = useTranslation();
  const { state } = shared;
  const readers = readersOf(lines, state.policy.read_markers ? state.reads : [], state.me);
  return rows.map(({ line, before, gone }) => (
    <div key={line.key} className="row" data-row={line.key}>
      <Separators line={line} before={before} newFrom={state.newFrom} me={state.me} />
      {gone > 0 ? (
        <p className="event" data-testid="gone">
          {t("log.gone", { count: gone })}
        </p>
      ) : (
        <Line line={line} before={before} {...shared} />
      )}
      <ReadBy names={readers.get(line.key) ?? []} />
    </div>
  ));
}

/** More are only counted. */
const MAX_READERS = 5;

function ReadBy({ names }: { names: readonly string[] }) {
  const { t } = useTranslation();
  if (names.length === 0) return null;
  const named = names.slice(0, MAX_READERS).map((name) => name || t("event.somebody")).join(", ");
  const count = names.length - MAX_READERS;
  return (
    <p className="read-by" data-testid="read-by">
      <CheckCheck size={13} aria-hidden />
      {count > 0 ? t("log.readByMore", { names: named, count }) : t("log.readBy", { names: named })}
    </p>
  );
}

interface SeparatorProps {
  line: ShownLine;
  before: ShownLine | undefined;
  newFrom: number;
  me: string;
}

function Separators({ line, before, newFrom, me }: SeparatorProps) {
  const { t, language } = useTranslation();
  const day = (ms: number) => new Date(ms).toDateString();
  const isNewDay = before === undefined || day(before.entry.atMs) !== day(line.entry.atMs);
  const { seq, from } = line.entry;
  const isFirstNew = seq > newFrom && before !== undefined && before.entry.seq <= newFrom && from !== me;
  return (
    <>
      {isNewDay && (
        <p className="day" data-testid="day">
          {new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" }).format(line.entry.atMs)}
        </p>
      )}
      {isFirstNew && (
        <p className="day new-from" data-testid="new-from">
          {t("log.new")}
        </p>
      )}
    </>
  );
}

function Line({ line, before, ...shared }: { line: ShownLine; before: ShownLine | undefined } & Omit<Props, "live">) {
  const { t, language } = useTranslation();
  const { entry } = line;
  if (isSaid(line)) return <MessageLine line={line} head={!continuesLine(line, before)} {...shared} />;
  const name = entry.from === shared.state.me ? t("log.you") : nameOf(entry, shared.people, t("event.somebody"));
  const time = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" });
  const said = (
    <>
      {sentenceOf(t, entry, name)} <time dateTime={new Date(entry.atMs).toISOString()}>{time.format(entry.atMs)}</time>
    </>
  );
  if (entry.body?.measured === true && (entry.from === shared.state.me || reaches(shared.state.role, "moderator"))) {
    return (
      <Measured member={entry.from} seq={entry.seq}>
        {said}
      </Measured>
    );
  }
  return (
    <p className="event" data-testid="event" data-verb={entry.verb}>
      {said}
    </p>
  );
}

/** Somebody has left a call, and how it went for them is kept. */
function Measured({ member, seq, children }: { member: string; seq: number; children: ReactNode }) {
  const { t } = useTranslation("hosts");
  const live = useRoomLive();
  const [open, setOpen] = useState(false);
  return (
    <>
      <p className="event" data-testid="event" data-verb="left">
        {children}
        <button
          type="button"
          className="button quiet small"
          data-testid="event-connection"
          onClick={() => {
            setOpen(true);
          }}
        >
          {t("lines.menu")}
        </button>
      </p>
      {open && live !== null && (
        <LaterConnection
          live={live}
          member={member}
          seq={seq}
          onClose={() => {
            setOpen(false);
          }}
        />
      )}
    </>
  );
}
