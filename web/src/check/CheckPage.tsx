import type { Translate } from "../i18n/translate";
import { CircleCheck, CircleMinus, CircleX, LoaderCircle, type LucideIcon, Stethoscope, TriangleAlert } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Brand } from "../components/Brand";
import { CopyButton } from "../components/CopyButton";
import { LegalLinks } from "../components/LegalLinks";
import { LangSwitch } from "../components/LangSwitch";
import type { ServerConfig } from "../lib/api";
import { type Outcome, type Outcomes, reportOf, runCheck, type Step, STEPS } from "./check";
import { HERE } from "./surroundings";
import "../styles/check.css";

const ICONS: Record<Outcome["state"], LucideIcon> = {
  running: LoaderCircle,
  skipped: CircleMinus,
  good: CircleCheck,
  slow: TriangleAlert,
  bad: CircleX,
  device: CircleX,
  join: CircleX,
};

/** Whether a call would come to be from here, and what to tell whoever runs the server if not. */
export function CheckPage({ config }: { config: ServerConfig }) {
  const { t } = useTranslation();
  const [outcomes, setOutcomes] = useState<Outcomes>({});
  const [report, setReport] = useState<string | null>(null);
  const [running, setRunning] = useState(false);

  const run = async () => {
    setRunning(true);
    setReport(null);
    setOutcomes({});
    let all: Outcomes = {};
    await runCheck(HERE, (step, outcome) => {
      all = { ...all, [step]: outcome };
      setOutcomes(all);
    });
    setReport(reportOf(all, window.location.origin, navigator.userAgent, new Date()));
    setRunning(false);
  };

  return (
    <div className="page">
      <header className="top-bar">
        <Brand name={config.name} />
        <LangSwitch />
      </header>
      <main className="check-main">
        <div className="card check-card" data-testid="check-page">
          <h1>{t("check.title")}</h1>
          <p>{t("check.lead")}</p>
          <button type="button" className="button primary large" data-testid="run-check" disabled={running} onClick={() => void run()}>
            <Stethoscope size={18} aria-hidden />
            {running ? t("check.running") : report === null ? t("check.begin") : t("check.again")}
          </button>
          <div role="status">
            {outcomes.browser && (
              <ul className="check-steps">
                {STEPS.map((step) => {
                  const outcome = outcomes[step];
                  return outcome && <StepLine key={step} step={step} outcome={outcome} />;
                })}
              </ul>
            )}
          </div>
          {report !== null && (
            <section>
              <p>{t("check.tell")}</p>
              <CopyButton text={report} label={t("check.copy")} testId="copy-report" />
            </section>
          )}
        </div>
      </main>
      <LegalLinks />
    </div>
  );
}

function StepLine({ step, outcome }: { step: Step; outcome: Outcome }) {
  const { t } = useTranslation();
  const Icon = ICONS[outcome.state];
  return (
    <li data-testid="check-step" data-step={step} data-state={outcome.state}>
      <Icon size={22} className={outcome.state === "running" ? "spin" : undefined} aria-label={t(`check.state.${outcome.state}`)} />
      <div>
        <strong>{t(`check.step.${step}`)}</strong>
        <p>{sentence(t, step, outcome)}</p>
      </div>
    </li>
  );
}

function sentence(t: Translate, step: Step, outcome: Outcome): string {
  if (outcome.state === "device" && (step === "camera" || step === "mic")) return t(`deviceProblem.${step}.${outcome.problem}`);
  if (outcome.state === "join") return t(`joinProblem.${outcome.problem}`);
  if (outcome.state === "slow") return t(`check.slow.${outcome.path === "tcp" ? "tcp" : "relay"}`);
  if (outcome.state === "good") return t(`check.good.${step}`);
  if (outcome.state === "bad") return t(step === "browser" ? "check.bad.browser" : "check.bad.server");
  return t(outcome.state === "skipped" ? "check.skipped" : "check.running");
}
