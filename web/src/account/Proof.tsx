import { ExternalLink, KeyRound } from "lucide-react";
import { type ReactNode, type SubmitEvent, useCallback, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { Account, SignInMethods } from "./api";
import * as api from "./api";
import { Dialog } from "../components/Dialog";
import { Field, ProblemBox } from "./parts";
import { askPasskey, hasPasskeys } from "./passkeys";
import { keepWayBack } from "./session";
import { ProofCancelled, ProofContext, useAct } from "./useAct";

interface Waiting {
  resolve: () => void;
  reject: (reason: Error) => void;
}

/** Asks whoever is signed in to prove it whenever something inside needs that (step-up). */
export function ProofProvider({ account, methods, children }: { account: Account; methods: SignInMethods; children: ReactNode }) {
  const [waiting, setWaiting] = useState<Waiting | null>(null);
  const prove = useCallback(
    () =>
      new Promise<void>((resolve, reject) => {
        setWaiting({ resolve, reject });
      }),
    [],
  );
  return (
    <ProofContext value={prove}>
      {children}
      {waiting !== null && (
        <ProofDialog
          account={account}
          methods={methods}
          onProved={() => {
            waiting.resolve();
            setWaiting(null);
          }}
          onCancel={() => {
            waiting.reject(new ProofCancelled());
            setWaiting(null);
          }}
        />
      )}
    </ProofContext>
  );
}

interface Props {
  account: Account;
  methods: SignInMethods;
  onProved: () => void;
  onCancel: () => void;
}

function ProofDialog({ account, methods, onProved, onCancel }: Props) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  const [password, setPassword] = useState("");

  const withPassword = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      await api.proveWithPassword(password);
      onProved();
    });
  };
  const withPasskey = () => {
    run(async () => {
      const { ticket, options } = await api.beginPasskeyProof();
      await api.finishPasskeyProof(ticket, await askPasskey(options));
      onProved();
    });
  };
  const withProvider = () => {
    run(async () => {
      const url = await api.beginOpenidProof();
      keepWayBack(window.location.pathname);
      window.location.assign(url);
    });
  };

  return (
    <Dialog title={t("account.proof.title")} testId="proof" onClose={onCancel}>
      <p className="account-text">{t("account.proof.text", { name: account.name })}</p>
      <ProblemBox problem={problem} />
      {methods.password && account.hasPassword && (
        <form className="account-form" onSubmit={withPassword}>
          <Field
            label={t("account.password")}
            type="password"
            autoComplete="current-password"
            testId="proof-password"
            value={password}
            onChange={setPassword}
          />
          <button type="submit" className="button primary wide" data-testid="proof-submit" disabled={busy}>
            {t("account.proof.go")}
          </button>
        </form>
      )}
      {methods.passkey && hasPasskeys() && (
        <button type="button" className="button wide" data-testid="proof-passkey" disabled={busy} onClick={withPasskey}>
          <KeyRound size={18} aria-hidden />
          {t("account.proof.passkey")}
        </button>
      )}
      {methods.openid !== null && account.hasOpenid && (
        <button type="button" className="button wide" data-testid="proof-openid" disabled={busy} onClick={withProvider}>
          <ExternalLink size={18} aria-hidden />
          {t("account.proof.provider", { provider: methods.openid })}
        </button>
      )}
    </Dialog>
  );
}
