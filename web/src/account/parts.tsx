import { LoaderCircle, TriangleAlert } from "lucide-react";
import { type ReactNode, useId } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { AccountLink } from "./AccountLink";
import { Brand } from "../components/Brand";
import { LangSwitch } from "../components/LangSwitch";
import type { ServerConfig } from "../lib/api";
import type { AccountProblem } from "./problems";

/** A page around `children`, with the app's own top. */
export function Frame({ config, wide = false, children }: { config: ServerConfig; wide?: boolean; children: ReactNode }) {
  return (
    <div className="page">
      <header className="top-bar">
        <Brand name={config.name} />
        <div className="top-actions">
          <AccountLink config={config} />
          <LangSwitch />
        </div>
      </header>
      <main className={wide ? "account-main wide" : "account-main"}>{children}</main>
    </div>
  );
}

export function ProblemBox({ problem }: { problem: AccountProblem | null }) {
  const { t } = useTranslation();
  if (problem === null) return null;
  return (
    <p className="problem boxed" role="alert" data-testid="account-problem" data-problem={problem}>
      <TriangleAlert size={18} aria-hidden />
      {t(`account.problem.${problem}`)}
    </p>
  );
}

export function Loading() {
  const { t } = useTranslation();
  return (
    <p className="account-loading" role="status">
      <LoaderCircle size={20} className="spin" aria-hidden />
      {t("account.loading")}
    </p>
  );
}

interface FieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  testId: string;
  type?: "text" | "password";
  autoComplete: string;
  hint?: string;
  maxLength?: number;
}

export function Field({ label, value, onChange, testId, type = "text", autoComplete, hint, maxLength }: FieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        data-testid={testId}
        type={type}
        autoComplete={autoComplete}
        autoCapitalize="none"
        spellCheck={false}
        maxLength={maxLength}
        required
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        value={value}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      />
      {hint !== undefined && (
        <p className="account-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** A part of a page, with its own heading. */
export function Section({ title, children, testId }: { title: string; children: ReactNode; testId: string }) {
  const id = useId();
  return (
    <section className="card account-card" aria-labelledby={id} data-testid={testId}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}
