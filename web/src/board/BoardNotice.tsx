import { PenTool, X } from "lucide-react";
import { useTranslation } from "../i18n/useTranslation";

interface Props {
  /** Who opened it. */
  name: string;
  onOpen: () => void;
  onDismiss: () => void;
}

/** Somebody has opened the whiteboard. */
export function BoardNotice({ name, onOpen, onDismiss }: Props) {
  const { t } = useTranslation("drawing");
  return (
    <div className="spotlight-bar" data-testid="board-notice">
      <p role="status">
        <PenTool size={17} aria-hidden />
        <bdi>{t("board.openedBy", { name })}</bdi>
      </p>
      <button type="button" className="button small" data-testid="open-board-too" onClick={onOpen}>
        {t("board.openToo")}
      </button>
      <button type="button" className="icon-button" data-testid="dismiss-board-notice" aria-label={t("board.dismiss")} onClick={onDismiss}>
        <X size={17} aria-hidden />
      </button>
    </div>
  );
}
