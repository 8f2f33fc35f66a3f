import { Download, LogOut, ShieldCheck } from "lucide-react";
import { useEffect } from "react";
import { useTranslation } from "../i18n/useTranslation";
import "../styles/account.css";
import type { ServerConfig } from "../lib/api";
import { navigate } from "../lib/router";
import type { Account, SignInMethods } from "./api";
import * as api from "./api";
import { DeleteAccount } from "./DeleteAccount";
import { Devices } from "./Devices";
import { OpenidPage } from "./OpenidPage";
import { Frame, Loading, ProblemBox, Section } from "./parts";
import { PasskeyList } from "./PasskeyList";
import { NameForm, PasswordForm, ProviderLink } from "./Profile";
import { ProofProvider } from "./Proof";
import { accountSession } from "./session";
import { SignIn } from "./SignIn";
import { useAccount } from "./useAccount";
import { useAct } from "./useAct";
import { useLoad } from "./useLoad";

export function AccountPages({ config, path }: { config: ServerConfig; path: string }) {
  return path === "/account/openid" ? <OpenidPage config={config} /> : <AccountPage config={config} />;
}

function AccountPage({ config }: { config: ServerConfig }) {
  const { t } = useTranslation();
  const account = useAccount();
  const methods = useLoad(api.fetchMethods);

  useEffect(() => {
    document.title = `${t("account.title")} · ${config.name}`;
  }, [t, config.name]);

  return (
    <Frame config={config}>
      {methods.problem === "not_found" ? (
        <p className="card account-card narrow" data-testid="no-accounts">
          {t("account.none")}
        </p>
      ) : methods.problem !== null ? (
        <ProblemBox problem={methods.problem} />
      ) : methods.value === undefined || account === undefined ? (
        <Loading />
      ) : account === null ? (
        <SignIn methods={methods.value} />
      ) : (
        <ProofProvider account={account} methods={methods.value}>
          <SignedIn account={account} methods={methods.value} />
        </ProofProvider>
      )}
    </Frame>
  );
}

function SignedIn({ account, methods }: { account: Account; methods: SignInMethods }) {
  return (
    <>
      <Head account={account} />
      <Devices />
      {methods.passkey && <PasskeyList />}
      {methods.password && <PasswordForm account={account} />}
      {methods.openid !== null && <ProviderLink account={account} provider={methods.openid} />}
      <NameForm account={account} />
      <TakeAlong />
      <DeleteAccount />
    </>
  );
}

/** A plain link: the browser itself saves what is too large for a page. */
function TakeAlong() {
  const { t } = useTranslation();
  return (
    <Section title={t("account.export.title")} testId="export-account">
      <p className="account-text">{t("account.export.text")}</p>
      <a className="button" href="/api/v1/account/export" download data-testid="export-account-link">
        <Download size={18} aria-hidden />
        {t("account.export.go")}
      </a>
    </Section>
  );
}

function Head({ account }: { account: Account }) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  return (
    <div className="account-head">
      <div>
        <p className="account-hint">{t("account.title")}</p>
        <h1>
          <bdi data-testid="signed-in-name">{account.name}</bdi>
        </h1>
      </div>
      <div className="account-actions">
        {account.isAdmin && (
          <button
            type="button"
            className="button"
            data-testid="to-admin"
            onClick={() => {
              navigate("/admin");
            }}
          >
            <ShieldCheck size={18} aria-hidden />
            {t("admin.title")}
          </button>
        )}
        <button
          type="button"
          className="button"
          data-testid="sign-out"
          disabled={busy}
          onClick={() => {
            run(async () => {
              await api.signOut();
              accountSession.set(null);
            });
          }}
        >
          <LogOut size={18} aria-hidden />
          {t("account.signOut")}
        </button>
      </div>
      <ProblemBox problem={problem} />
    </div>
  );
}
