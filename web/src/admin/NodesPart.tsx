import { useTranslation } from "../i18n/useTranslation";
import { useLoad } from "../account/useLoad";
import * as api from "./api";
import { bytesText } from "./format";
import { Table } from "./Table";

/** What is to be said of a node, the best known first. */
function statesOf(node: api.AdminNode) {
  const reach = node.here ? "here" : node.connected ? "connected" : "apart";
  return [
    reach,
    ...(node.draining ? (["draining"] as const) : []),
    ...(node.registered ? [] : (["unregistered"] as const)),
  ] as const;
}

export function NodesPart() {
  const { t, language } = useTranslation();
  const { value, problem } = useLoad(api.fetchNodes);
  const number = (of: number) => of.toLocaleString(language);
  const states = new Intl.ListFormat(language, { style: "narrow" });
  return (
    <>
      {value !== undefined && value.problem !== "" && (
        <p className="account-text" role="status" data-testid="registry-away">
          {t("admin.nodes.away", { problem: value.problem })}
        </p>
      )}
      <Table
        label={t("admin.nodes.title")}
        testId="nodes"
        items={value?.nodes}
        idOf={(node) => node.name}
        problem={problem}
        empty={t("admin.nodes.alone")}
        columns={[
          {
            key: "node",
            label: t("admin.nodes.title"),
            cell: (node) => (
              <>
                <bdi>{node.name}</bdi> <bdi className="account-hint">{node.address}</bdi>
              </>
            ),
          },
          {
            key: "state",
            label: t("admin.nodes.state"),
            cell: (node) => states.format(statesOf(node).map((state) => t(`admin.nodes.${state}`))),
          },
          { key: "rooms", label: t("admin.nodes.rooms"), isNumber: true, cell: (node) => number(node.rooms) },
          { key: "people", label: t("admin.rooms.here"), isNumber: true, cell: (node) => number(node.participants) },
          { key: "links", label: t("admin.nodes.links"), isNumber: true, cell: (node) => number(node.links) },
          {
            key: "sent",
            label: t("admin.nodes.sent"),
            isNumber: true,
            cell: (node) => (node.here ? "–" : bytesText(node.sentBytes, language)),
          },
          {
            key: "received",
            label: t("admin.nodes.received"),
            isNumber: true,
            cell: (node) => (node.here ? "–" : bytesText(node.receivedBytes, language)),
          },
          { key: "version", label: t("admin.nodes.version"), cell: (node) => <code>{node.version || "–"}</code> },
        ]}
      />
    </>
  );
}
