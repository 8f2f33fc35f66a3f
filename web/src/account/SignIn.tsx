import { ExternalLink, KeyRound, LogIn, UserPlus } from "lucide-react";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { navigate } from "../lib/router";
import type { Account, SignInMethods } from "./api";
import * as api from "./api";
import { Field, ProblemBox } from "./parts";
import { askPasskey, createPasskey, hasPasskeys } from "./passkeys";
import { accountSession, takeWayBack } from "./session";
import { useAct } from "./useAct";

function enter(account: Account): void {
  accountSession.set(account);
  navigate(takeWayBack());
}

/** The ways in that this server has, and the way to an account where one may make one. */
export function SignIn({ methods }: { methods: SignInMethods }) {
  const { t } = useTranslation();
  const [isNew, setNew] = useState(false);
  // With the provider alone nothing has to be filled in: signing in makes the account.
  const canRegister = methods.registration !== "closed" && (methods.password || methods.passkey);
  return (
    <div className="card account-card narrow" data-testid="sign-in">
      <h1>{isNew ? t("account.register.title") : t("account.signIn")}</h1>
      {isNew ? <Register methods={methods} /> : <Ways methods={methods} />}
      {canRegister && (
        <button
          type="button"
          className="button quiet wide"
          data-testid="switch-register"
          onClick={() => {
            setNew(!isNew);
          }}
        >
          {isNew ? t("account.register.back") : t("account.register.switch")}
        </button>
      )}
    </div>
  );
}

function Ways({ methods }: { methods: SignInMethods }) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");

  const withPassword = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      enter(await api.signInWithPassword(name, password));
    });
  };
  const withPasskey = () => {
    run(async () => {
      const { ticket, options } = await api.beginPasskeySignIn();
      enter(await api.finishPasskeySignIn(ticket, await askPasskey(options)));
    });
  };

  return (
    <>
      <ProblemBox problem={problem} />
      {methods.passkey && hasPasskeys() && (
        <button type="button" className="button large wide" data-testid="sign-in-passkey" disabled={busy} onClick={withPasskey}>
          <KeyRound size={18} aria-hidden />
          {t("account.withPasskey")}
        </button>
      )}
      <Provider methods={methods} invitation="" />
      {methods.password && (
        <form className="account-form" onSubmit={withPassword}>
          <Field label={t("account.name")} autoComplete="username" testId="account-name" value={name} onChange={setName} />
          <Field
            label={t("account.password")}
            type="password"
            autoComplete="current-password"
            testId="account-password"
            value={password}
            onChange={setPassword}
          />
          <button type="submit" className="button primary large wide" data-testid="sign-in-password" disabled={busy}>
            <LogIn size={18} aria-hidden />
            {t("account.signIn")}
          </button>
        </form>
      )}
    </>
  );
}

function Provider({ methods, invitation }: { methods: SignInMethods; invitation: string }) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  if (methods.openid === null) return null;
  return (
    <>
      <ProblemBox problem={problem} />
      <button
        type="button"
        className="button large wide"
        data-testid="sign-in-openid"
        disabled={busy}
        onClick={() => {
          run(async () => {
            window.location.assign(await api.beginOpenidSignIn(invitation));
          });
        }}
      >
        <ExternalLink size={18} aria-hidden />
        {t("account.withProvider", { provider: methods.openid })}
      </button>
    </>
  );
}

function Register({ methods }: { methods: SignInMethods }) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const needsCode = methods.registration === "invite";
  const invitation = code.trim();

  const withPassword = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      enter(await api.registerWithPassword(name, password, invitation));
    });
  };
  const withPasskey = () => {
    run(async () => {
      const { ticket, options } = await api.beginPasskeyRegistration(name, invitation);
      enter(await api.finishPasskeyRegistration(ticket, await createPasskey(options), invitation));
    });
  };

  return (
    <>
      <ProblemBox problem={problem} />
      <form className="account-form" onSubmit={withPassword}>
        {needsCode && (
          <Field
            label={t("account.register.code")}
            hint={t("account.register.codeHint")}
            autoComplete="off"
            testId="register-code"
            value={code}
            onChange={setCode}
          />
        )}
        <Field label={t("account.name")} autoComplete="username" testId="account-name" maxLength={64} value={name} onChange={setName} />
        {methods.passkey && hasPasskeys() && (
          <button
            type="button"
            className="button large wide"
            data-testid="register-passkey"
            disabled={busy || name.trim() === "" || (needsCode && invitation === "")}
            onClick={withPasskey}
          >
            <KeyRound size={18} aria-hidden />
            {t("account.register.passkey")}
          </button>
        )}
        {methods.password && (
          <>
            <Field
              label={t("account.password")}
              type="password"
              autoComplete="new-password"
              testId="account-password"
              value={password}
              onChange={setPassword}
            />
            <button type="submit" className="button primary large wide" data-testid="register-password" disabled={busy}>
              <UserPlus size={18} aria-hidden />
              {t("account.register.go")}
            </button>
          </>
        )}
      </form>
      <Provider methods={methods} invitation={invitation} />
    </>
  );
}
