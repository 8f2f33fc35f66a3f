import { ChartBarBig, Download, Plus } from "lucide-react";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Switch } from "../components/Switch";
import { text } from "../lib/api";
import { cleanMessage } from "../lib/chat";
import { texts } from "../log/entries";
import { saveAs } from "../lib/saveAs";
import type { ShownLine } from "../log/fold";
import { useRoomLive } from "../room/RoomLive";
import type { People } from "./draft";
import { pollCsv } from "./pollCsv";
import type { LineActions } from "./useLineActions";

const MAX_OPTIONS = 10;
const MAX_LENGTH = 200;

/** A question, who chose what, and the choosing. */
export function Poll({ line, people, actions }: { line: ShownLine; people: People; actions: LineActions }) {
  const { t } = useTranslation();
  const { body, entry, votes, closed } = line;
  const options = texts(body?.options);
  const mine = votes.flatMap((members, choice) => (members.includes(actions.me) ? [choice] : []));
  const total = new Set(votes.flat()).size;
  const choose = (choice: number) => {
    if (mine.includes(choice)) actions.vote(line, mine.filter((one) => one !== choice));
    else actions.vote(line, body?.multiple === true ? [...mine, choice] : [choice]);
  };
  return (
    <div className="message-text poll" data-testid="poll" data-closed={closed}>
      <p className="poll-question" dir="auto">
        <ChartBarBig size={16} aria-label={t("poll.label")} />
        {cleanMessage(text(body?.question))}
      </p>
      {options.map((option, choice) => {
        const members = votes[choice] ?? [];
        return (
          <button
            key={choice}
            type="button"
            className={`poll-option${mine.includes(choice) ? " mine" : ""}`}
            data-testid="poll-option"
            aria-pressed={mine.includes(choice)}
            disabled={closed}
            title={members.map((member) => people.get(member) ?? "").join(", ")}
            onClick={() => {
              choose(choice);
            }}
          >
            <span dir="auto">{cleanMessage(option)}</span>
            <span className="poll-count">{members.length}</span>
            <meter min={0} max={Math.max(1, total)} value={members.length} aria-hidden />
          </button>
        );
      })}
      <p className="poll-foot">
        <span>{closed ? t("poll.closed") : t("poll.votes", { count: total })}</span>
        {!closed && (entry.from === actions.me || actions.moderates) && (
          <button
            type="button"
            className="button quiet small"
            data-testid="close-poll"
            onClick={() => {
              actions.closePoll(line);
            }}
          >
            {t("poll.close")}
          </button>
        )}
        {(entry.from === actions.me || actions.moderates) && <Export seq={entry.seq} people={people} />}
      </p>
    </div>
  );
}

/** The result as a file. Only where the whole poll is known: what a search has found comes without its votes. */
function Export({ seq, people }: { seq: number; people: People }) {
  const { t } = useTranslation("hosts");
  const { t: common } = useTranslation();
  const live = useRoomLive();
  const whole = live?.log.state.lines.find(({ entry }) => entry.seq === seq && seq > 0);
  if (whole === undefined) return null;
  const save = () => {
    const columns = { option: t("poll.option"), votes: t("poll.votes"), voters: t("poll.voters") };
    const table = pollCsv(whole, columns, (member) => people.get(member) ?? common("event.somebody"));
    saveAs(new Blob([table], { type: "text/csv;charset=utf-8" }), `${t("poll.file")}-${seq}.csv`);
  };
  return (
    <button type="button" className="icon-button" data-testid="export-poll" aria-label={t("poll.export")} title={t("poll.export")} onClick={save}>
      <Download size={16} aria-hidden />
    </button>
  );
}

export interface NewPoll {
  question: string;
  options: string[];
  multiple: boolean;
}

export function PollForm({ onAsk, onCancel }: { onAsk: (poll: NewPoll) => void; onCancel: () => void }) {
  const { t } = useTranslation();
  const [question, setQuestion] = useState("");
  const [options, setOptions] = useState(["", ""]);
  const [multiple, setMultiple] = useState(false);
  const given = options.map((option) => cleanMessage(option)).filter((option) => option !== "");
  const isWhole = cleanMessage(question) !== "" && given.length >= 2;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isWhole) onAsk({ question: cleanMessage(question), options: given, multiple });
  };
  return (
    <form className="composer poll-form" data-testid="poll-form" onSubmit={submit}>
      <input
        data-testid="poll-question"
        aria-label={t("poll.question")}
        placeholder={t("poll.question")}
        maxLength={MAX_LENGTH}
        value={question}
        onChange={(event) => {
          setQuestion(event.target.value);
        }}
      />
      {options.map((option, index) => (
        <input
          key={index}
          data-testid="poll-new-option"
          aria-label={t("poll.option", { number: index + 1 })}
          placeholder={t("poll.option", { number: index + 1 })}
          maxLength={MAX_LENGTH}
          value={option}
          onChange={(event) => {
            setOptions(options.map((old, at) => (at === index ? event.target.value : old)));
          }}
        />
      ))}
      {options.length < MAX_OPTIONS && (
        <button
          type="button"
          className="button quiet small"
          onClick={() => {
            setOptions([...options, ""]);
          }}
        >
          <Plus size={15} aria-hidden />
          {t("poll.more")}
        </button>
      )}
      <Switch label={t("poll.multiple")} testId="poll-multiple" on={multiple} onChange={setMultiple} />
      <div className="composer-row">
        <button type="submit" className="button primary small" data-testid="ask-poll" disabled={!isWhole}>
          {t("poll.ask")}
        </button>
        <button type="button" className="button quiet small" onClick={onCancel}>
          {t("log.cancel")}
        </button>
      </div>
    </form>
  );
}
