import { LockKeyhole, LockKeyholeOpen } from "lucide-react";
import { useTranslation } from "../i18n/useTranslation";
import type { RoomKind } from "../lib/api";

interface Props {
  kind: RoomKind;
  /** What tells more of it; without, the badge is only to be read. */
  onShow?: () => void;
}

/** Whether the server can read, hear and see what is in the room. */
export function SealBadge({ kind, onShow }: Props) {
  const { t } = useTranslation();
  const Icon = kind === "sealed" ? LockKeyhole : LockKeyholeOpen;
  const long = t(`seal.${kind}Long`);
  const inside = (
    <>
      <Icon size={14} aria-hidden />
      <span>{t(`seal.${kind}`)}</span>
    </>
  );
  if (onShow === undefined) {
    return (
      <span className="seal-badge" data-testid="seal-badge" data-kind={kind} title={long}>
        {inside}
      </span>
    );
  }
  return (
    <button
      type="button"
      className="seal-badge"
      data-testid="seal-badge"
      data-kind={kind}
      aria-label={`${long} ${t("seal.show")}`}
      title={long}
      onClick={onShow}
    >
      {inside}
    </button>
  );
}
