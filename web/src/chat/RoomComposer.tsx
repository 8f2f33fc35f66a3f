import { ChartBarBig, Paperclip, SendHorizontal, X } from "lucide-react";
import { type KeyboardEvent, type SubmitEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { reaches, text as textOf } from "../lib/api";
import { cleanMessage, MAX_MESSAGE_LENGTH } from "../lib/chat";
import { pastedFiles } from "../files/given";
import type { Visit } from "../lib/visit";
import type { RoomSnapshot } from "../log/roomState";
import { type RoomLive, useRoomState } from "../room/RoomLive";
import { byteLength, type Intent, MAX_BYTES, mentionAt, mentionsIn, namesFor, type People } from "./draft";
import { summaryOf } from "./MessageLine";
import { PollForm } from "./Poll";

interface Props {
  live: RoomLive;
  visit: Visit;
  people: People;
  intent: Intent;
  onIntent: (intent: Intent) => void;
  /** Sends files; null where one may not. */
  onFiles: ((files: readonly File[]) => void) | null;
}

/** As often one says that one still writes. */
const TYPING_MS = 3000;

export function RoomComposer(props: Props) {
  const { live, intent } = props;
  const { t } = useTranslation();
  const state = useRoomState(live.log);
  const [isPoll, setPoll] = useState(false);
  if (!mayWrite(state) && state.ready) {
    return <p className="chat-note composer">{t("log.readOnly")}</p>;
  }
  const close = () => {
    setPoll(false);
  };
  if (isPoll) {
    return (
      <PollForm
        onCancel={close}
        onAsk={(poll) => {
          live.write({ verb: "poll", body: { ...poll } });
          close();
        }}
      />
    );
  }
  // Another intent is another form: what is being edited must not end up in a new message.
  const key = intent.kind === "edit" ? `edit ${intent.line.key}` : "message";
  return (
    <MessageForm
      key={key}
      {...props}
      onPoll={() => {
        setPoll(true);
      }}
    />
  );
}

export function mayWrite({ policy, role }: RoomSnapshot): boolean {
  return policy.guests_write || reaches(role, "member");
}

type Composing = ReturnType<typeof useComposing>;

/** The text, and what typing, sending and mentioning do to it. */
function useComposing({ live, visit, people, intent, onIntent }: Props) {
  const isEdit = intent.kind === "edit";
  const [text, setText] = useState(isEdit ? textOf(intent.line.body?.text) : visit.state.draft);
  const [caret, setCaret] = useState(0);
  const tellTyping = useTyping(live);
  const { me } = useRoomState(live.log);
  const tooLong = byteLength(text) > MAX_BYTES;
  const beginning = mentionAt(text, caret);
  const suggested = beginning === null ? [] : namesFor(beginning, people, me);

  const write = (draft: string, at: number) => {
    setText(draft);
    setCaret(at);
    if (!isEdit) visit.note({ draft });
    tellTyping(draft !== "");
  };
  const cancel = () => {
    onIntent({ kind: "message" });
  };
  const send = () => {
    const clean = cleanMessage(text).normalize("NFC");
    if (clean === "" || tooLong) return;
    sendAs(live, intent, clean, mentionsIn(clean, people));
    write("", 0);
    if (intent.kind !== "private") cancel();
  };
  const mention = (name: string) => {
    const start = caret - (beginning?.length ?? 0);
    write(`${text.slice(0, start)}${name} ${text.slice(caret)}`, start + name.length + 1);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape" && intent.kind !== "message") {
      event.stopPropagation();
      cancel();
    }
    // While an input method composes, Enter picks a candidate.
    if (event.nativeEvent.isComposing || event.shiftKey) return;
    const first = suggested[0];
    if (event.key === "Tab" && first !== undefined && beginning !== "") {
      event.preventDefault();
      mention(first[1]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      send();
    }
  };
  const rest = () => {
    tellTyping(false);
  };
  return { text, tooLong, suggested, write, cancel, send, mention, onKey, rest };
}

function MessageForm({ onPoll, ...props }: Props & { onPoll: () => void }) {
  const { t } = useTranslation();
  const { intent, onFiles } = props;
  const composing = useComposing(props);
  const { text, tooLong } = composing;
  return (
    <form
      className="composer"
      onSubmit={(event: SubmitEvent) => {
        event.preventDefault();
        composing.send();
      }}
    >
      <IntentLine intent={intent} onCancel={composing.cancel} />
      <Suggestions composing={composing} />
      {tooLong && (
        <p className="problem" role="alert">
          {t("log.tooLong")}
        </p>
      )}
      <div className="composer-row">
        {intent.kind !== "edit" && (
          <button type="button" className="icon-button tool" data-testid="new-poll" aria-label={t("poll.make")} onClick={onPoll}>
            <ChartBarBig size={18} aria-hidden />
          </button>
        )}
        {intent.kind !== "edit" && onFiles !== null && <FilesButton onFiles={onFiles} />}
        <TextInput composing={composing} intent={intent} onFiles={onFiles} />
        <button
          type="submit"
          className="icon-button send"
          data-testid="chat-send"
          aria-label={t("chat.send")}
          disabled={text.trim() === "" || tooLong}
        >
          <SendHorizontal className="points-on" size={18} aria-hidden />
        </button>
      </div>
    </form>
  );
}

function TextInput({ composing, intent, onFiles }: Pick<Props, "intent" | "onFiles"> & { composing: Composing }) {
  const { t } = useTranslation();
  const input = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    input.current?.focus();
  }, [intent]);

  return (
    <textarea
      ref={input}
      data-testid="chat-input"
      rows={1}
      dir="auto"
      maxLength={MAX_MESSAGE_LENGTH}
      aria-label={t("chat.placeholder")}
      placeholder={t("chat.placeholder")}
      value={composing.text}
      onChange={(event) => {
        composing.write(event.target.value, event.target.selectionStart);
      }}
      onKeyDown={composing.onKey}
      onBlur={composing.rest}
      onPaste={(event) => {
        const files = pastedFiles(event.clipboardData);
        if (files.length === 0 || onFiles === null) return;
        event.preventDefault();
        onFiles(files);
      }}
    />
  );
}

function FilesButton({ onFiles }: { onFiles: (files: readonly File[]) => void }) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button
        type="button"
        className="icon-button tool"
        data-testid="send-files"
        aria-label={t("files.add")}
        onClick={() => input.current?.click()}
      >
        <Paperclip size={18} aria-hidden />
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        data-testid="files-input"
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          // The same file may be chosen again.
          event.target.value = "";
        }}
      />
    </>
  );
}

function Suggestions({ composing: { suggested, mention } }: { composing: Composing }) {
  const { t } = useTranslation();
  if (suggested.length === 0) return null;
  return (
    <div className="suggestions" role="group">
      {suggested.map(([member, name]) => (
        <button
          key={member}
          type="button"
          className="button small"
          aria-label={t("log.mention", { name })}
          onClick={() => {
            mention(name);
          }}
        >
          <bdi>@{name}</bdi>
        </button>
      ))}
    </div>
  );
}

function sendAs(live: RoomLive, intent: Intent, text: string, mentions: string[]): void {
  const { log } = live;
  const body = { text, ...(mentions.length > 0 ? { mentions } : {}) };
  switch (intent.kind) {
    case "edit":
      log.write({ verb: "edit", target: intent.line.entry.seq, body });
      break;
    case "reply": {
      const { entry } = intent.line;
      // A reply to a private message goes to the other one of the two.
      const other = entry.from === log.state.me ? entry.to : entry.from;
      live.write({ verb: "message", target: entry.seq, body, ...(entry.to === "" ? {} : { to: other }) });
      break;
    }
    case "private":
      live.write({ verb: "message", body, to: intent.member });
      break;
    default:
      live.write({ verb: "message", body });
  }
}

/** Says that one writes, not more often than others need, and when one has stopped. */
function useTyping({ log }: RoomLive): (on: boolean) => void {
  const told = useRef(0);
  return (on) => {
    const now = Date.now();
    if (on ? now - told.current < TYPING_MS : told.current === 0) return;
    told.current = on ? now : 0;
    log.tellTyping(on);
  };
}

function IntentLine({ intent, onCancel }: { intent: Intent; onCancel: () => void }) {
  const { t } = useTranslation();
  if (intent.kind === "message") return null;
  const what =
    intent.kind === "edit"
      ? t("log.editing")
      : intent.kind === "reply"
        ? t("log.replyingTo", { name: intent.line.entry.name })
        : t("log.writingTo", { name: intent.name });
  return (
    <p className="intent" data-testid="intent">
      <span>
        {what}
        {intent.kind === "reply" && <small dir="auto">{summaryOf(intent.line)}</small>}
      </span>
      <button type="button" className="icon-button" aria-label={t("log.cancel")} onClick={onCancel}>
        <X size={16} aria-hidden />
      </button>
    </p>
  );
}
