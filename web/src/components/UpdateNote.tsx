import { RefreshCw } from "lucide-react";
import { useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { applyUpdate, hasUpdate, onUpdate } from "../lib/installed";

/** Says, where nobody is disturbed by it, that there is a new version. */
export function UpdateNote() {
  const { t } = useTranslation("media");
  if (!useSyncExternalStore(onUpdate, hasUpdate)) return null;
  return (
    <div className="update-note" role="status" data-testid="update-note">
      <span>{t("update.text")}</span>
      <button type="button" className="button quiet small" data-testid="apply-update" onClick={() => void applyUpdate()}>
        <RefreshCw size={16} aria-hidden />
        {t("update.apply")}
      </button>
    </div>
  );
}
