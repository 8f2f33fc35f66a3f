import { ExternalLink, Unlink } from "lucide-react";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { Account } from "./api";
import * as api from "./api";
import { Field, ProblemBox, Section } from "./parts";
import { accountSession, keepWayBack } from "./session";
import { useAct } from "./useAct";

function Done({ shown, text }: { shown: boolean; text: string }) {
  return (
    <p className="account-done" role="status" data-testid="done">
      {shown && text}
    </p>
  );
}

export function NameForm({ account }: { account: Account }) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  const [name, setName] = useState(account.name);
  const [done, setDone] = useState(false);
  const rename = (event: SubmitEvent) => {
    event.preventDefault();
    setDone(false);
    run(async () => {
      accountSession.set(await api.renameAccount(name));
      setDone(true);
    });
  };
  return (
    <Section title={t("account.rename.title")} testId="rename">
      <ProblemBox problem={problem} />
      <form className="account-form" onSubmit={rename}>
        <Field label={t("account.name")} autoComplete="username" testId="new-name" maxLength={64} value={name} onChange={setName} />
        <button type="submit" className="button" disabled={busy || name.trim() === account.name}>
          {t("account.rename.go")}
        </button>
      </form>
      <Done shown={done} text={t("account.rename.done")} />
    </Section>
  );
}

export function PasswordForm({ account }: { account: Account }) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  const [password, setPassword] = useState("");
  const [done, setDone] = useState(false);
  const change = (event: SubmitEvent) => {
    event.preventDefault();
    setDone(false);
    run(async () => {
      await api.changePassword(password);
      accountSession.set({ ...account, hasPassword: true });
      setPassword("");
      setDone(true);
    });
  };
  return (
    <Section title={t("account.newPassword.title")} testId="new-password">
      <p className="account-text">{t("account.newPassword.text")}</p>
      <ProblemBox problem={problem} />
      <form className="account-form" onSubmit={change}>
        {/* Password managers look for whose password it is. */}
        <input type="text" className="visually-hidden" autoComplete="username" value={account.name} readOnly tabIndex={-1} aria-hidden />
        <Field
          label={t("account.newPassword.label")}
          type="password"
          autoComplete="new-password"
          testId="new-password-input"
          value={password}
          onChange={setPassword}
        />
        <button type="submit" className="button" data-testid="new-password-submit" disabled={busy}>
          {t("account.newPassword.go")}
        </button>
      </form>
      <Done shown={done} text={t("account.newPassword.done")} />
    </Section>
  );
}

export function ProviderLink({ account, provider }: { account: Account; provider: string }) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  const link = () => {
    run(async () => {
      const url = await api.beginOpenidLink();
      keepWayBack(null);
      window.location.assign(url);
    });
  };
  const unlink = () => {
    run(async () => {
      await api.unlinkOpenid();
      accountSession.set({ ...account, hasOpenid: false });
    });
  };
  return (
    <Section title={provider} testId="provider">
      <p className="account-text">
        {account.hasOpenid ? t("account.provider.linked", { provider }) : t("account.provider.text", { provider })}
      </p>
      <ProblemBox problem={problem} />
      <button
        type="button"
        className="button"
        data-testid={account.hasOpenid ? "unlink-openid" : "link-openid"}
        disabled={busy}
        onClick={account.hasOpenid ? unlink : link}
      >
        {account.hasOpenid ? <Unlink size={18} aria-hidden /> : <ExternalLink size={18} aria-hidden />}
        {account.hasOpenid ? t("account.provider.unlink") : t("account.provider.link", { provider })}
      </button>
    </Section>
  );
}
