import { Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { deleteAccount } from "./api";
import { Confirm } from "../components/Dialog";
import { ProblemBox, Section } from "./parts";
import { accountSession } from "./session";
import { useAct } from "./useAct";

export function DeleteAccount() {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  const [asking, setAsking] = useState(false);
  return (
    <Section title={t("account.delete.title")} testId="delete-account">
      <p className="account-text">{t("account.delete.text")}</p>
      <ProblemBox problem={problem} />
      <button
        type="button"
        className="button danger"
        data-testid="delete-account-button"
        disabled={busy}
        onClick={() => {
          setAsking(true);
        }}
      >
        <Trash2 size={18} aria-hidden />
        {t("account.delete.go")}
      </button>
      {asking && (
        <Confirm
          title={t("account.delete.sure")}
          text={t("account.delete.text")}
          yes={t("account.delete.go")}
          onClose={() => {
            setAsking(false);
          }}
          onYes={() => {
            run(async () => {
              await deleteAccount();
              accountSession.set(null);
            });
          }}
        />
      )}
    </Section>
  );
}
