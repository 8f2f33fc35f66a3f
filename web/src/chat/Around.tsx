import { ArrowDown, LoaderCircle } from "lucide-react";
import { type RefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { Entry } from "../log/entries";
import { EMPTY, fold, linesOf, type LogState, without } from "../log/fold";
import type { RoomSnapshot } from "../log/roomState";
import { type RoomLive, useRoomNews } from "../room/RoomLive";
import { type People, rowsOf } from "./draft";
import { Lines } from "./Timeline";
import type { LineActions } from "./useLineActions";

interface Props {
  live: RoomLive;
  /** What was found. */
  seq: number;
  state: RoomSnapshot;
  people: People;
  actions: LineActions;
  onBack: () => void;
}

const PAGE = 30;

/** The place of one entry in the history, however long ago: what was said before it and after it. */
export function Around({ live, seq, state, people, actions, onBack }: Props) {
  const { t } = useTranslation();
  const around = useAround(live, seq);
  const list = useRef<HTMLDivElement>(null);
  const [openedMs] = useState(() => Date.now());
  const lines = useMemo(() => linesOf(around.log, openedMs), [around.log, openedMs]);
  const isThere = lines.length > 0;
  useStaying(list, lines[0]?.key ?? "");
  useEffect(() => {
    const element = list.current?.querySelector<HTMLElement>(`[data-seq="${seq}"]`);
    if (!isThere || element == null) return;
    element.classList.add("found");
    element.scrollIntoView({ block: "center" });
    return () => {
      element.classList.remove("found");
    };
  }, [seq, isThere]);
  return (
    <div className="timeline">
      <div ref={list} className="messages" role="log" aria-label={t("chat.messages")} aria-busy={!isThere} data-testid="around" tabIndex={0}>
        {around.older && <MoreButton testId="around-older" label={t("log.older")} onClick={around.loadOlder} />}
        {!isThere && (
          <p className="chat-note">
            <LoaderCircle size={16} className="spin" aria-hidden />
            {t("log.loading")}
          </p>
        )}
        <Lines rows={rowsOf(lines)} lines={lines} state={state} people={people} actions={actions} />
        {around.newer && <MoreButton testId="around-newer" label={t("log.newer")} onClick={around.loadNewer} />}
      </div>
      <button type="button" className="button small jump" data-testid="around-back" onClick={onBack}>
        <ArrowDown size={16} aria-hidden />
        {t("log.back")}
      </button>
    </div>
  );
}

function MoreButton({ testId, label, onClick }: { testId: string; label: string; onClick: () => void }) {
  return (
    <button type="button" className="button quiet small load-older" data-testid={testId} onClick={onClick}>
      {label}
    </button>
  );
}

/** What one looks at stays where it is while older lines come in above. */
function useStaying(list: RefObject<HTMLDivElement | null>, first: string): void {
  const seen = useRef({ first: "", height: 0 });
  useLayoutEffect(() => {
    const element = list.current;
    if (element === null) return;
    if (seen.current.first !== "" && seen.current.first !== first) {
      element.scrollBy({ top: element.scrollHeight - seen.current.height });
    }
    seen.current = { first, height: element.scrollHeight };
  });
}

interface Section {
  log: LogState;
  older: boolean;
  newer: boolean;
  /** The first and the last entry that were fetched: they need not be ones that are shown. */
  from: number;
  to: number;
}

function useAround(live: RoomLive, seq: number) {
  const { api } = live;
  const [section, setSection] = useState<Section>({ log: EMPTY, older: false, newer: false, from: seq, to: seq });
  useEffect(() => {
    let isOver = false;
    const load = async () => {
      const [before, after] = await Promise.all([api.page(seq + 1, PAGE), api.pageSince(seq, PAGE)]);
      const entries = [...before.entries, ...after.entries];
      const [from, to] = [entries[0]?.seq ?? seq, entries.at(-1)?.seq ?? seq];
      if (!isOver) setSection({ log: fold(EMPTY, entries), older: before.more, newer: after.more, from, to });
    };
    load().catch(() => undefined);
    return () => {
      isOver = true;
    };
  }, [api, seq]);

  const news = useMemo(
    () => ({
      // What is new may be about what is here; as a line it belongs here only when nothing is missing in between.
      onEntry: (entry: Entry) => {
        setSection((old) => (entry.target === null && old.newer ? old : { ...old, log: fold(old.log, [entry]) }));
      },
      onGone: (seqs: readonly number[]) => {
        setSection((old) => ({ ...old, log: without(old.log, seqs) }));
      },
    }),
    [],
  );
  useRoomNews(live, news);

  const loadOlder = async () => {
    const page = await api.page(section.from, PAGE);
    setSection((old) => ({ ...old, log: fold(old.log, page.entries), older: page.more, from: page.entries[0]?.seq ?? old.from }));
  };
  const loadNewer = async () => {
    const page = await api.pageSince(section.to, PAGE);
    setSection((old) => ({ ...old, log: fold(old.log, page.entries), newer: page.more, to: page.entries.at(-1)?.seq ?? old.to }));
  };
  // A button that did nothing can be pressed again.
  return {
    ...section,
    loadOlder: () => void loadOlder().catch(() => undefined),
    loadNewer: () => void loadNewer().catch(() => undefined),
  };
}
