import { useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import * as api from "../account/api";
import { Frame, Loading, ProblemBox } from "../account/parts";
import { ProofProvider } from "../account/Proof";
import { SignIn } from "../account/SignIn";
import { keepWayBack } from "../account/session";
import { useAccount } from "../account/useAccount";
import { useLoad } from "../account/useLoad";
import "../styles/account.css";
import "../styles/admin.css";
import type { ServerConfig } from "../lib/api";
import { AccountsPart } from "./AccountsPart";
import { NodesPart } from "./NodesPart";
import { AuditPart, CallsPart, HooksPart, OverviewPart, RoomsPart } from "./parts";

const PARTS = ["overview", "rooms", "calls", "nodes", "accounts", "hooks", "audit"] as const;
type Part = (typeof PARTS)[number];

export function AdminPage({ config }: { config: ServerConfig }) {
  const { t } = useTranslation();
  const account = useAccount();
  const methods = useLoad(api.fetchMethods);

  useEffect(() => {
    document.title = `${t("admin.title")} · ${config.name}`;
  }, [t, config.name]);
  useEffect(() => {
    if (account === null) keepWayBack("/admin");
  }, [account]);

  if (methods.problem !== null) {
    return (
      <Frame config={config}>
        <ProblemBox problem={methods.problem} />
      </Frame>
    );
  }
  if (methods.value === undefined || account === undefined) {
    return (
      <Frame config={config}>
        <Loading />
      </Frame>
    );
  }
  if (!account?.isAdmin) {
    return (
      <Frame config={config}>
        {account === null && <SignIn methods={methods.value} />}
        <p className="account-text" data-testid="no-admin">
          {t("admin.noAdmin")}
        </p>
      </Frame>
    );
  }
  return (
    <Frame config={config} wide>
      <ProofProvider account={account} methods={methods.value}>
        <Parts withPasswords={methods.value.password} />
      </ProofProvider>
    </Frame>
  );
}

function Parts({ withPasswords }: { withPasswords: boolean }) {
  const { t } = useTranslation();
  const [part, setPart] = useState<Part>("overview");
  return (
    <>
      <h1 className="admin-title">{t("admin.title")}</h1>
      <nav className="admin-nav" aria-label={t("admin.title")}>
        {PARTS.map((one) => (
          <button
            key={one}
            type="button"
            className="admin-tab"
            data-testid={`admin-${one}`}
            aria-current={one === part ? "page" : undefined}
            onClick={() => {
              setPart(one);
            }}
          >
            {t(`admin.${one}.title`)}
          </button>
        ))}
      </nav>
      <section className="card account-card" aria-label={t(`admin.${part}.title`)} data-testid="admin-part">
        {part === "overview" && <OverviewPart />}
        {part === "rooms" && <RoomsPart />}
        {part === "calls" && <CallsPart />}
        {part === "nodes" && <NodesPart />}
        {part === "accounts" && <AccountsPart withPasswords={withPasswords} />}
        {part === "hooks" && <HooksPart />}
        {part === "audit" && <AuditPart />}
      </section>
    </>
  );
}
