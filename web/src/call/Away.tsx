import { LoaderCircle, RotateCw, ServerOff, WifiOff } from "lucide-react";
import { useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { AwayReason } from "../lib/comeback";

interface Props {
  reason: AwayReason;
  /** Whether one's own screen was shared, which only a click can start again. */
  shared: boolean;
  onTryNow: () => void;
}

/** Lies over the dimmed stage while there is no connection: why, and that the way back needs no click. */
export function Away({ reason, shared, onTryNow }: Props) {
  const { t } = useTranslation();
  const online = useOnline();
  const kind = online ? reason : "offline";
  const Icon = kind === "server_shutdown" ? ServerOff : WifiOff;
  return (
    <div className="away" role="status" data-testid="away" data-reason={reason}>
      <div className="card away-card">
        <span className="end-icon warn">
          <Icon size={28} aria-hidden />
        </span>
        <h2>{t(`away.${kind}.title`)}</h2>
        <p>{t(`away.${kind}.text`)}</p>
        {shared && <p>{t("away.shared")}</p>}
        <p className="away-waiting">
          <LoaderCircle size={16} className="spin" aria-hidden />
          {t("away.waiting")}
        </p>
        <button type="button" className="button" data-testid="try-now" onClick={onTryNow}>
          <RotateCw size={17} aria-hidden />
          {t("away.tryNow")}
        </button>
      </div>
    </div>
  );
}

function useOnline(): boolean {
  return useSyncExternalStore(
    (listener) => {
      window.addEventListener("online", listener);
      window.addEventListener("offline", listener);
      return () => {
        window.removeEventListener("online", listener);
        window.removeEventListener("offline", listener);
      };
    },
    () => navigator.onLine,
  );
}
