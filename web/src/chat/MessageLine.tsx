import { DoorOpen, Ellipsis, Lock, LockKeyhole, Pencil, Pin, PinOff, Reply, RotateCw, Trash2, X } from "lucide-react";
import { type ReactNode, useState, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { text } from "../lib/api";
import { cleanMessage } from "../lib/chat";
import { type Body, isLocked, texts } from "../log/entries";
import type { ShownLine } from "../log/fold";
import type { Pending } from "../log/outbox";
import type { RoomSnapshot } from "../log/roomState";
import { useBreakouts } from "../hooks/useBreakouts";
import { breakoutOf } from "../room/breakouts";
import { useRoomLive } from "../room/RoomLive";
import { nameOf, type People } from "./draft";
import { FileLine } from "./FileLine";
import { Markdown } from "./Markdown";
import { Poll } from "./Poll";
import type { LineActions } from "./useLineActions";

const EMOJIS = ["👍", "❤️", "😂", "🎉", "😮", "🙏"];

interface Props {
  line: ShownLine;
  /** Whether name and time stand above it. */
  head: boolean;
  withDay?: boolean;
  state: RoomSnapshot;
  people: People;
  actions: LineActions;
}

export function MessageLine({ line, head, withDay = false, state, people, actions }: Props) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const { entry, body } = line;
  const own = entry.from === actions.me;
  const name = own ? t("log.you") : nameOf(entry, people, t("event.somebody"));
  const isMentioned = texts(body?.mentions).includes(actions.me);
  return (
    <div
      className={`message room-message${own ? " own" : ""}${isMentioned ? " mentioned" : ""}`}
      data-testid="chat-message"
      data-identity={entry.from}
      data-own={own}
      data-seq={entry.seq}
      data-removed={body === null}
    >
      {head && <Head name={name} atMs={entry.atMs} withDay={withDay} />}
      {entry.fromMember !== "" && (
        <p className="private-note" data-testid="from-member">
          {t("log.fromMember", { name: people.get(entry.fromMember) ?? t("event.somebody") })}
        </p>
      )}
      {entry.target !== null && <Quote state={state} target={entry.target} people={people} me={actions.me} />}
      {entry.to !== "" && (
        <p className="private-note">
          <Lock size={13} aria-hidden />
          {own ? t("log.privateTo", { name: people.get(entry.to) ?? t("event.somebody") }) : t("log.privateFrom")}
        </p>
      )}
      <FromRoom number={breakoutOf(entry.body)} />
      <div className="message-row">
        <Content line={line} people={people} actions={actions} />
        {body !== null && (
          <button
            type="button"
            className="icon-button message-more"
            data-testid="message-actions"
            aria-label={t("log.actions", { name })}
            aria-expanded={open}
            onClick={() => {
              setOpen(!open);
            }}
          >
            {open ? <X size={16} aria-hidden /> : <Ellipsis size={16} aria-hidden />}
          </button>
        )}
      </div>
      <Reactions line={line} actions={actions} />
      {open && body !== null && (
        <Actions
          line={line}
          own={own}
          actions={actions}
          onDone={() => {
            setOpen(false);
          }}
        />
      )}
    </div>
  );
}

/** Says where it was written, to those who are not there. */
function FromRoom({ number }: { number: number }) {
  const { t } = useTranslation("hosts");
  const mine = useBreakouts(useRoomLive())?.mine ?? 0;
  if (number === 0 || number === mine) return null;
  return (
    <p className="private-note" data-testid="from-room">
      <DoorOpen size={13} aria-hidden />
      {t("breakouts.room", { number })}
    </p>
  );
}

function Head({ name, atMs, withDay }: { name: string; atMs: number; withDay: boolean }) {
  const { language } = useTranslation();
  const time = new Intl.DateTimeFormat(language, {
    hour: "numeric",
    minute: "2-digit",
    ...(withDay ? { day: "numeric", month: "short" } : {}),
  });
  return (
    <div className="message-head">
      <bdi>{name}</bdi>
      <time dateTime={new Date(atMs).toISOString()}>{time.format(atMs)}</time>
    </div>
  );
}

function Quote({ state, target, people, me }: { state: RoomSnapshot; target: number; people: People; me: string }) {
  const { t } = useTranslation();
  const line = state.lines.find(({ entry }) => entry.seq === target);
  if (line === undefined) return null;
  const { entry, body } = line;
  const name = entry.from === me ? t("log.you") : nameOf(entry, people, "");
  return (
    <p className="quote" dir="auto">
      <Reply className="points-on" size={13} aria-hidden />
      <bdi>{name}</bdi>
      <span>{body === null ? line.over ? t("log.gone", { count: 1 }) : t("log.removed") : summaryOf(line)}</span>
    </p>
  );
}

/** A line in one line. */
export function summaryOf({ body }: ShownLine): string {
  return cleanMessage(text(body?.text) || text(body?.question) || text(body?.name)).replace(/\s+/g, " ").slice(0, 120);
}

function Content({ line, people, actions }: Pick<Props, "line" | "people" | "actions">): ReactNode {
  const { t } = useTranslation();
  const { entry, body, edited } = line;
  if (body === null) return <p className="message-text removed">{t("log.removed")}</p>;
  if (isLocked(body)) return <Locked body={body} name={nameOf(entry, people, t("event.somebody"))} />;
  if (entry.verb === "poll") return <Poll line={line} people={people} actions={actions} />;
  if (entry.verb === "file") return <FileLine body={body} files={actions.files} />;
  const names = texts(body.mentions).map((member) => people.get(member) ?? "").filter((name) => name !== "");
  return (
    <div className="message-text" dir="auto">
      <Markdown text={cleanMessage(text(body.text))} names={names} />
      {(edited || line.pinned) && (
        <span className="message-flags">
          {line.pinned && <Pin size={12} aria-label={t("log.pinned")} />}
          {edited && t("log.edited")}
        </span>
      )}
    </div>
  );
}

const NO_LACKS = { subscribe: () => () => undefined, lackOf: () => "asking" as const };

/** What does not open says whose it is and why. */
function Locked({ body, name }: { body: Body; name: string }) {
  const { t } = useTranslation();
  const { subscribe, lackOf } = useRoomLive()?.sealed?.asks ?? NO_LACKS;
  const lack = useSyncExternalStore(subscribe, () => lackOf(body));
  return (
    <p className="message-text removed" data-testid="locked-message" data-lack={lack}>
      <LockKeyhole size={14} aria-hidden />
      {t(`seal.locked.${lack}`, { name })}
    </p>
  );
}

function Reactions({ line, actions }: Pick<Props, "line" | "actions">) {
  const { t } = useTranslation();
  if (line.reactions.length === 0) return null;
  return (
    <div className="reactions">
      {line.reactions.map(({ emoji, names, members }) => (
        <button
          key={emoji}
          type="button"
          className={`reaction${members.includes(actions.me) ? " mine" : ""}`}
          data-testid="reaction"
          aria-pressed={members.includes(actions.me)}
          aria-label={t("log.reaction", { emoji, names: names.join(", ") })}
          title={names.join(", ")}
          onClick={() => {
            actions.react(line, emoji);
          }}
        >
          <span aria-hidden>{emoji}</span>
          {members.length}
        </button>
      ))}
    </div>
  );
}

interface ActionsProps {
  line: ShownLine;
  own: boolean;
  actions: LineActions;
  onDone: () => void;
}

function Actions({ line, own, actions, onDone }: ActionsProps) {
  const { t } = useTranslation();
  const offered = [
    { key: "reply", icon: Reply, label: t("log.reply"), act: actions.reply, shown: true },
    { key: "edit", icon: Pencil, label: t("log.edit"), act: actions.edit, shown: own && line.entry.verb === "message" },
    { key: "private", icon: Lock, label: t("log.private"), act: actions.writeTo, shown: !own },
    { key: "pin", icon: line.pinned ? PinOff : Pin, label: t(line.pinned ? "log.unpin" : "log.pin"), act: actions.pin, shown: actions.moderates },
    { key: "delete", icon: Trash2, label: t("log.delete"), act: actions.remove, shown: own || actions.moderates },
  ];
  const done = (act: () => void) => () => {
    act();
    onDone();
  };
  // What is not kept cannot be spoken of later.
  if (line.entry.seq === 0) return null;
  return (
    <div className="message-actions" role="group">
      <div className="emoji-row">
        {EMOJIS.map((emoji) => (
          <button
            key={emoji}
            type="button"
            className="icon-button"
            data-testid="react"
            aria-label={t("log.react", { emoji })}
            onClick={done(() => {
              actions.react(line, emoji);
            })}
          >
            <span aria-hidden>{emoji}</span>
          </button>
        ))}
      </div>
      {offered.map(
        ({ key, icon: Icon, label, act, shown }) =>
          shown && (
            <button
              key={key}
              type="button"
              className="button quiet small"
              data-testid={`action-${key}`}
              onClick={done(() => {
                act(line);
              })}
            >
              <Icon size={15} aria-hidden />
              {label}
            </button>
          ),
      )}
    </div>
  );
}

/** What is on its way, or was not taken. */
export function PendingLine({ pending, actions }: { pending: Pending; actions: LineActions }) {
  const { t } = useTranslation();
  const failed = pending.failed !== null;
  return (
    <div className="message own pending" data-testid="pending-message" data-failed={failed}>
      <div className="message-text" dir="auto">
        {cleanMessage(text(pending.body.text) || text(pending.body.question) || text(pending.body.name))}
      </div>
      <p className={failed ? "problem" : "pending-note"} role={failed ? "alert" : undefined}>
        {failed ? t("log.failed") : t("log.pending")}
        {failed && (
          <>
            <button
              type="button"
              className="button quiet small"
              data-testid="retry"
              onClick={() => {
                actions.retry(pending.clientId);
              }}
            >
              <RotateCw size={14} aria-hidden />
              {t("log.retry")}
            </button>
            <button
              type="button"
              className="button quiet small"
              onClick={() => {
                actions.discard(pending.clientId);
              }}
            >
              {t("log.discard")}
            </button>
          </>
        )}
      </p>
    </div>
  );
}
