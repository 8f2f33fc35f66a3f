import { PhoneOff, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Confirm } from "../components/Dialog";
import { Loading, ProblemBox } from "../account/parts";
import { useAct } from "../account/useAct";
import { useLoad } from "../account/useLoad";
import { useTimes } from "../account/useTimes";
import { roomPath } from "../lib/rooms";
import * as api from "./api";
import { bytesText, detailsText } from "./format";
import { Table } from "./Table";
import { usePages } from "./usePages";

export function OverviewPart() {
  const { t, language } = useTranslation();
  const { value: overview, problem } = useLoad(api.fetchOverview);
  const plain = new Intl.NumberFormat(language);
  if (overview === undefined) return problem === null ? <Loading /> : <ProblemBox problem={problem} />;
  return (
    <dl className="admin-sums" data-testid="overview">
      {api.OVERVIEW.map((name) => (
        <div key={name} data-testid={`sum-${name}`}>
          <dt>{t(`admin.overview.${name}`)}</dt>
          <dd>{name === "file_bytes" ? bytesText(overview[name], language) : plain.format(overview[name])}</dd>
        </div>
      ))}
    </dl>
  );
}

function RoomLink({ name, title }: { name: string; title: string }) {
  // A room that nobody has given a title is called by its name.
  const hasTitle = title !== "" && title !== name;
  return (
    <a className="admin-link" href={roomPath(name)}>
      <bdi>{hasTitle ? title : name}</bdi>
      {hasTitle && <bdi className="account-hint">{name}</bdi>}
    </a>
  );
}

export function RoomsPart() {
  const { t, language } = useTranslation();
  const time = useTimes();
  const pages = usePages(api.fetchRooms);
  const acting = useAct();
  const [leaving, setLeaving] = useState<api.AdminRoom | null>(null);
  const number = (value: number) => value.toLocaleString(language);
  return (
    <>
      <Table
        label={t("admin.rooms.title")}
        testId="rooms"
        items={pages.items}
        idOf={(room) => room.name}
        problem={pages.problem ?? acting.problem}
        empty={t("admin.rooms.empty")}
        more={pages.hasMore ? pages.more : undefined}
        columns={[
          { key: "room", label: t("admin.room"), cell: (room) => <RoomLink name={room.name} title={room.title} /> },
          { key: "here", label: t("admin.rooms.here"), isNumber: true, cell: (room) => number(room.participants) },
          { key: "members", label: t("admin.rooms.members"), isNumber: true, cell: (room) => number(room.members) },
          { key: "entries", label: t("admin.rooms.entries"), isNumber: true, cell: (room) => number(room.entries) },
          {
            key: "files",
            label: t("admin.rooms.files"),
            isNumber: true,
            cell: (room) => `${number(room.files)} · ${bytesText(room.fileBytes, language)}`,
          },
          {
            key: "newest",
            label: t("admin.rooms.newest"),
            cell: (room) => (room.newestAtMs === null ? "–" : time(room.newestAtMs)),
          },
          {
            key: "acts",
            label: t("admin.acts"),
            cell: (room) => (
              <button
                type="button"
                className="icon-button boxed"
                data-testid="delete-room"
                aria-label={t("admin.rooms.delete", { room: room.name })}
                disabled={acting.busy}
                onClick={() => {
                  setLeaving(room);
                }}
              >
                <Trash2 size={18} aria-hidden />
              </button>
            ),
          },
        ]}
      />
      {leaving !== null && (
        <Confirm
          title={t("admin.rooms.delete", { room: leaving.title === "" ? leaving.name : leaving.title })}
          text={t("admin.rooms.deleteText")}
          yes={t("admin.rooms.yes")}
          onClose={() => {
            setLeaving(null);
          }}
          onYes={() => {
            acting.run(async () => {
              await api.deleteRoom(leaving.name);
              pages.reload();
            });
          }}
        />
      )}
    </>
  );
}

export function CallsPart() {
  const { t, language } = useTranslation();
  const names = new Intl.ListFormat(language, { style: "narrow" });
  const nodesText = (call: api.AdminCall) =>
    names.format(call.nodes.map((node) => `${node.name}: ${node.participants.toLocaleString(language)}`));
  const time = useTimes();
  const { value: calls, problem, reload } = useLoad(api.fetchCalls);
  const acting = useAct();
  const [ending, setEnding] = useState<api.AdminCall | null>(null);
  return (
    <>
      <Table
        label={t("admin.calls.title")}
        testId="calls"
        items={calls}
        idOf={(call) => call.room}
        problem={problem ?? acting.problem}
        empty={t("admin.calls.empty")}
        columns={[
          { key: "room", label: t("admin.room"), cell: (call) => <RoomLink name={call.room} title="" /> },
          { key: "here", label: t("admin.rooms.here"), isNumber: true, cell: (call) => call.participants },
          { key: "began", label: t("admin.calls.began"), cell: (call) => time(call.beganAtMs) },
          ...(calls?.some((call) => call.nodes.length > 0) === true
            ? [{ key: "nodes", label: t("admin.calls.nodes"), cell: (call: api.AdminCall) => nodesText(call) }]
            : []),
          { key: "lasts", label: t("admin.calls.lasts"), cell: (call) => t(call.lasts ? "admin.yes" : "admin.no") },
          {
            key: "acts",
            label: t("admin.acts"),
            cell: (call) => (
              <button
                type="button"
                className="button small"
                data-testid="end-call"
                disabled={acting.busy}
                aria-label={t("admin.calls.endOf", { room: call.room })}
                onClick={() => {
                  setEnding(call);
                }}
              >
                <PhoneOff size={16} aria-hidden />
                {t("admin.calls.end")}
              </button>
            ),
          },
        ]}
      />
      {ending !== null && (
        <Confirm
          title={t("admin.calls.endOf", { room: ending.room })}
          text={t("admin.calls.endText")}
          yes={t("admin.calls.end")}
          onClose={() => {
            setEnding(null);
          }}
          onYes={() => {
            acting.run(async () => {
              await api.endCall(ending.room);
              reload();
            });
          }}
        />
      )}
    </>
  );
}

export function HooksPart() {
  const { t } = useTranslation();
  const { value: hooks, problem } = useLoad(api.fetchHooks);
  return (
    <Table
      label={t("admin.hooks.title")}
      testId="hooks"
      items={hooks}
      idOf={(hook) => `${hook.room} ${hook.id}`}
      problem={problem}
      empty={t("admin.hooks.empty")}
      columns={[
        { key: "room", label: t("admin.room"), cell: (hook) => <RoomLink name={hook.room} title="" /> },
        { key: "hook", label: t("admin.hooks.hook"), cell: (hook) => <code>{hook.id}</code> },
        { key: "failures", label: t("admin.hooks.failures"), isNumber: true, cell: (hook) => hook.failures },
        { key: "waiting", label: t("admin.hooks.waiting"), isNumber: true, cell: (hook) => hook.waiting },
        { key: "gone", label: t("admin.hooks.gone"), cell: (hook) => t(hook.gone ? "admin.yes" : "admin.no") },
      ]}
    />
  );
}

export function AuditPart() {
  const { t } = useTranslation();
  const time = useTimes();
  const pages = usePages(api.fetchAudit);
  return (
    <Table
      label={t("admin.audit.title")}
      testId="audit"
      items={pages.items}
      idOf={(entry) => String(entry.id)}
      problem={pages.problem}
      empty={t("admin.audit.empty")}
      more={pages.hasMore ? pages.more : undefined}
      columns={[
        { key: "time", label: t("admin.audit.time"), cell: (entry) => time(entry.atMs) },
        { key: "act", label: t("admin.audit.act"), cell: (entry) => <code>{entry.act}</code> },
        { key: "actor", label: t("admin.audit.actor"), cell: (entry) => <code>{entry.actor}</code> },
        { key: "subject", label: t("admin.audit.subject"), cell: (entry) => <code>{entry.subject || "–"}</code> },
        { key: "details", label: t("admin.audit.details"), cell: (entry) => detailsText(entry.details) || "–" },
      ]}
    />
  );
}
