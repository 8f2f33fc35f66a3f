import { KeyRound, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import * as api from "./api";
import { Confirm } from "../components/Dialog";
import { Loading, ProblemBox, Section } from "./parts";
import { createPasskey, hasPasskeys } from "./passkeys";
import { useAct } from "./useAct";
import { useLoad } from "./useLoad";
import { useTimes } from "./useTimes";

export function PasskeyList() {
  const { t } = useTranslation();
  const time = useTimes();
  const { value: passkeys, problem, reload } = useLoad(api.fetchPasskeys);
  const acting = useAct();
  const [leaving, setLeaving] = useState<api.Passkey | null>(null);

  const add = () => {
    acting.run(async () => {
      const { ticket, options } = await api.beginAddingPasskey();
      await api.addPasskey(ticket, await createPasskey(options), "");
      reload();
    });
  };
  const nameOf = (passkey: api.Passkey) =>
    passkey.name === "" ? t("account.passkeys.unnamed", { time: time(passkey.createdAtMs) }) : passkey.name;

  return (
    <Section title={t("account.passkeys.title")} testId="passkeys">
      <p className="account-text">{t("account.passkeys.text")}</p>
      <ProblemBox problem={problem ?? acting.problem} />
      {passkeys === undefined && problem === null && <Loading />}
      <ul className="account-list">
        {passkeys?.map((passkey) => (
          <li key={passkey.id} data-testid="passkey">
            <KeyRound size={20} aria-hidden />
            <div>
              <p>{nameOf(passkey)}</p>
              <p className="account-hint">
                {passkey.usedAtMs === 0
                  ? t("account.passkeys.unused")
                  : t("account.passkeys.used", { time: time(passkey.usedAtMs) })}
              </p>
            </div>
            <button
              type="button"
              className="icon-button boxed"
              data-testid="remove-passkey"
              aria-label={t("account.passkeys.remove", { name: nameOf(passkey) })}
              disabled={acting.busy}
              onClick={() => {
                setLeaving(passkey);
              }}
            >
              <Trash2 size={18} aria-hidden />
            </button>
          </li>
        ))}
      </ul>
      {hasPasskeys() && (
        <button type="button" className="button" data-testid="add-passkey" disabled={acting.busy} onClick={add}>
          <Plus size={18} aria-hidden />
          {t("account.passkeys.add")}
        </button>
      )}
      {leaving !== null && (
        <Confirm
          title={t("account.passkeys.remove", { name: nameOf(leaving) })}
          text={t("account.passkeys.removeText")}
          yes={t("account.passkeys.yes")}
          onClose={() => {
            setLeaving(null);
          }}
          onYes={() => {
            acting.run(async () => {
              await api.removePasskey(leaving.id);
              reload();
            });
          }}
        />
      )}
    </Section>
  );
}
