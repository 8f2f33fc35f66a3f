import { MessageSquare, SendHorizontal } from "lucide-react";
import { type KeyboardEvent, type SubmitEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { Chat } from "../hooks/useChat";
import { type ChatMessage, continues, MAX_MESSAGE_LENGTH } from "../lib/chat";
import { splitLinks } from "../lib/links";
import type { Visit } from "../lib/visit";
import { Panel } from "./Panel";

interface Props {
  chat: Chat;
  visit: Visit;
  onClose: () => void;
}

export function ChatPanel({ chat, visit, onClose }: Props) {
  const { t } = useTranslation();
  const list = useRef<HTMLDivElement>(null);
  const { messages } = chat;

  useEffect(() => {
    list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [messages]);

  return (
    <Panel name="chat" title={t("chat.title")} onClose={onClose}>
      <div ref={list} className="messages" role="log" aria-label={t("chat.messages")} tabIndex={0}>
        {messages.length === 0 && (
          <div className="panel-empty">
            <MessageSquare size={28} aria-hidden />
            <p>{t("chat.empty")}</p>
          </div>
        )}
        {messages.map((message, index) => (
          <Message
            key={`${message.identity} ${message.id}`}
            message={message}
            head={!continues(message, messages[index - 1])}
          />
        ))}
      </div>
      <Composer visit={visit} onSend={chat.send} />
    </Panel>
  );
}

function Message({ message, head }: { message: ChatMessage; head: boolean }) {
  const { t, language } = useTranslation();
  const time = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" });
  return (
    <div
      className={`message${message.own ? " own" : ""}`}
      data-testid="chat-message"
      data-identity={message.identity}
      data-own={message.own}
    >
      {head && (
        <div className="message-head">
          <bdi>{message.own ? t("call.you") : message.name}</bdi>
          <time dateTime={new Date(message.atMs).toISOString()}>{time.format(message.atMs)}</time>
        </div>
      )}
      <p className="message-text" dir="auto">
        {splitLinks(message.text).map((part, index) =>
          part.kind === "link" ? (
            <a key={index} href={part.href} target="_blank" rel="noopener noreferrer">
              {part.text}
            </a>
          ) : (
            part.text
          ),
        )}
      </p>
    </div>
  );
}

function Composer({ visit, onSend }: { visit: Visit; onSend: (text: string) => Promise<void> }) {
  const { t } = useTranslation();
  const [text, setText] = useState(visit.state.draft);
  const [failed, setFailed] = useState(false);
  const [sending, setSending] = useState(false);
  const input = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    input.current?.focus();
  }, []);

  const write = (draft: string) => {
    setText(draft);
    visit.note({ draft });
  };

  const send = async () => {
    if (text.trim() === "" || sending) return;
    setSending(true);
    try {
      await onSend(text);
      write("");
      setFailed(false);
    } catch {
      setFailed(true);
    } finally {
      setSending(false);
    }
  };

  const onKey = (event: KeyboardEvent) => {
    // While an input method composes, Enter picks a candidate.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };

  return (
    <form
      className="composer"
      onSubmit={(event: SubmitEvent) => {
        event.preventDefault();
        void send();
      }}
    >
      {failed && (
        <p className="problem" role="alert">
          {t("chat.failed")}
        </p>
      )}
      <div className="composer-row">
        <textarea
          ref={input}
          data-testid="chat-input"
          rows={1}
          dir="auto"
          maxLength={MAX_MESSAGE_LENGTH}
          aria-label={t("chat.placeholder")}
          placeholder={t("chat.placeholder")}
          value={text}
          onChange={(event) => {
            write(event.target.value);
          }}
          onKeyDown={onKey}
        />
        <button
          type="submit"
          className="icon-button send"
          data-testid="chat-send"
          aria-label={t("chat.send")}
          disabled={text.trim() === "" || sending}
        >
          <SendHorizontal className="points-on" size={18} aria-hidden />
        </button>
      </div>
    </form>
  );
}
