import { Copy, VolumeX } from "lucide-react";
import { useTranslation } from "../i18n/useTranslation";

/** Before a call that this browser has open in another tab: what that means, and the quiet way to be in it twice. */
export function ElsewhereNote({ disabled, onJoinSilent }: { disabled: boolean; onJoinSilent: () => void }) {
  const { t } = useTranslation();
  return (
    <div className="elsewhere" data-testid="elsewhere" role="status">
      <p>
        <Copy size={18} aria-hidden />
        {t("elsewhere.text")}
      </p>
      <button type="button" className="button small" data-testid="join-silent" disabled={disabled} onClick={onJoinSilent}>
        <VolumeX size={16} aria-hidden />
        {t("elsewhere.silent")}
      </button>
    </div>
  );
}
