import { LocateFixed, Pin, Search, WifiOff, X } from "lucide-react";
import { Fragment, useEffect, useMemo, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { reaches } from "../lib/api";
import { apiProblem } from "../lib/joinProblem";
import type { Visit } from "../lib/visit";
import { EMPTY, lineOf, type ShownLine } from "../log/fold";
import { useBreakouts } from "../hooks/useBreakouts";
import type { RoomSnapshot } from "../log/roomState";
import { breakoutOf } from "../room/breakouts";
import { type RoomLive, useRoomState } from "../room/RoomLive";
import { Around } from "./Around";
import { type Intent, type People, peopleOf } from "./draft";
import { MessageLine } from "./MessageLine";
import { mayWrite, RoomComposer } from "./RoomComposer";
import { Timeline } from "./Timeline";
import { UploadList } from "./UploadList";
import { useFileDrop } from "./useFileDrop";
import { useLineActions } from "./useLineActions";

interface Props {
  live: RoomLive;
  visit: Visit;
  /** Who is in the call: by member, their name. */
  present: People;
  /** To whom a private message is to be written, when somebody chose it elsewhere. */
  privateTo?: { member: string; name: string } | null;
}

/** The chat of a room that lasts: its history, what is written now, and what can be done with it. */
export function RoomChat({ live, visit, present, privateTo = null }: Props) {
  const state = useHere(live, useRoomState(live.log));
  const [intent, setIntent] = useState<Intent>({ kind: "message" });
  const [asked, setAsked] = useState(privateTo);
  if (asked !== privateTo) {
    setAsked(privateTo);
    if (privateTo !== null) setIntent({ kind: "private", ...privateTo });
  }
  const people = useMemo(() => peopleOf(state.lines, present), [state.lines, present]);
  const actions = useLineActions(live, state, setIntent);
  const search = useSearch(live);
  useSeen(live);
  const maySend = state.ready && mayWrite(state) && (state.policy.files || reaches(state.role, "moderator"));
  const sendFiles = (files: readonly File[]) => {
    live.uploads.add(files, intent.kind === "private" ? intent.member : "");
  };
  const onFiles = maySend ? sendFiles : null;
  const drop = useFileDrop(onFiles);

  return (
    <div className="room-chat" {...drop.handlers}>
      <ChatTools search={search} pinned={state.lines.filter((line) => line.pinned)} onOpenPins={search.showPins} />
      <History live={live} search={search} state={state} people={people} actions={actions} />
      <Notices live={live} />
      <UploadList uploads={live.uploads} />
      {search.found === null && (
        <RoomComposer live={live} visit={visit} people={people} intent={intent} onIntent={setIntent} onFiles={onFiles} />
      )}
      <DropHere isOver={drop.isOver} />
    </div>
  );
}

/** The newest messages, what was found, or the place of one that was found. */
function History({ live, search, ...shared }: { live: RoomLive; search: SearchState } & ListProps) {
  if (search.found === null) return <Timeline live={live} {...shared} />;
  if (search.place === null) return <Results search={search} {...shared} />;
  return <Around live={live} seq={search.place} onBack={search.close} {...shared} />;
}

function DropHere({ isOver }: { isOver: boolean }) {
  const { t } = useTranslation();
  if (!isOver) return null;
  return (
    <p className="drop-here" data-testid="drop-here">
      {t("files.drop")}
    </p>
  );
}

/** In a breakout room one sees what is said there, and what is for all; in the main room everything. */
function useHere(live: RoomLive, state: RoomSnapshot): RoomSnapshot {
  const mine = useBreakouts(live)?.mine ?? 0;
  return useMemo(() => {
    if (mine === 0) return state;
    return { ...state, lines: state.lines.filter(({ entry }) => [0, mine].includes(breakoutOf(entry.body))) };
  }, [state, mine]);
}

/** While the chat is open and looked at, everything in it is read. */
function useSeen(live: RoomLive): void {
  const { unread, ready } = useRoomState(live.log);
  useEffect(() => {
    const mark = () => {
      if (document.visibilityState === "visible") live.log.markRead();
    };
    mark();
    document.addEventListener("visibilitychange", mark);
    return () => {
      document.removeEventListener("visibilitychange", mark);
    };
  }, [live, unread, ready]);
}

interface SearchState {
  words: string;
  /** Null: nothing is searched for. */
  found: readonly ShownLine[] | null;
  problem: string | null;
  /** The entry whose place in the history is shown. */
  place: number | null;
  setPlace: (seq: number) => void;
  setWords: (words: string) => void;
  submit: () => void;
  showPins: () => void;
  close: () => void;
}

function useSearch(live: RoomLive): SearchState {
  const [words, setWords] = useState("");
  const [found, setFound] = useState<readonly ShownLine[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [place, setPlace] = useState<number | null>(null);
  const show = async (load: () => ReturnType<RoomLive["api"]["search"]>) => {
    setProblem(null);
    setPlace(null);
    try {
      setFound((await load()).map((entry) => lineOf(EMPTY, entry, Date.now())));
    } catch (error) {
      setProblem(apiProblem(error));
      setFound([]);
    }
  };
  return {
    words,
    found,
    problem,
    place,
    setPlace,
    setWords,
    submit: () => {
      if (words.trim() !== "") void show(() => live.api.search(words.trim()));
    },
    showPins: () => void show(() => live.api.pins()),
    close: () => {
      setWords("");
      setFound(null);
      setProblem(null);
      setPlace(null);
    },
  };
}

function ChatTools({ search, pinned, onOpenPins }: { search: SearchState; pinned: ShownLine[]; onOpenPins: () => void }) {
  const { t } = useTranslation();
  return (
    <div className="chat-tools">
      <form
        role="search"
        className="chat-search"
        onSubmit={(event) => {
          event.preventDefault();
          search.submit();
        }}
      >
        <Search size={16} aria-hidden />
        <input
          type="search"
          data-testid="chat-search"
          aria-label={t("log.search")}
          placeholder={t("log.searchPlaceholder")}
          maxLength={200}
          value={search.words}
          onChange={(event) => {
            search.setWords(event.target.value);
          }}
        />
        {search.found !== null && (
          <button type="button" className="icon-button" data-testid="close-search" aria-label={t("log.cancel")} onClick={search.close}>
            <X size={16} aria-hidden />
          </button>
        )}
      </form>
      {pinned.length > 0 && search.found === null && (
        <button type="button" className="pins-bar" data-testid="pins" onClick={onOpenPins}>
          <Pin size={14} aria-hidden />
          {t("log.pins", { count: pinned.length })}
        </button>
      )}
    </div>
  );
}

type ListProps = Pick<Parameters<typeof Timeline>[0], "state" | "people" | "actions">;

function Results({ search, state, people, actions }: { search: SearchState } & ListProps) {
  const { t } = useTranslation();
  const found = search.found ?? [];
  return (
    <div className="messages" role="region" aria-label={t("log.search")} tabIndex={0} data-testid="search-results">
      <p className="chat-note" role="status">
        {found.length === 0 ? t("log.noResult") : t("log.results", { count: found.length })}
      </p>
      {found.map((line) => (
        <Fragment key={line.key}>
          <MessageLine line={line} head withDay state={state} people={people} actions={actions} />
          <button
            type="button"
            className={`button quiet small show-place${line.entry.from === actions.me ? " own" : ""}`}
            data-testid="show-place"
            onClick={() => {
              search.setPlace(line.entry.seq);
            }}
          >
            <LocateFixed size={14} aria-hidden />
            {t("log.place")}
          </button>
        </Fragment>
      ))}
    </div>
  );
}

function Notices({ live }: { live: RoomLive }) {
  const { t } = useTranslation();
  const { typing, online, ready } = useRoomState(live.log);
  const names = typing.map(({ name }) => name).join(", ");
  return (
    <div className="chat-notices" role="status">
      {!online && ready && (
        <p className="chat-note" data-testid="chat-offline">
          <WifiOff size={14} aria-hidden />
          {t("log.offline")}
        </p>
      )}
      {typing.length > 0 && (
        <p className="chat-note" data-testid="typing">
          {t("log.typing", { count: typing.length, names })}
        </p>
      )}
    </div>
  );
}
