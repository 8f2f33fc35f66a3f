import { X } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { useTranslation } from "../i18n/useTranslation";

export type PanelName = "chat" | "people";

interface Props {
  name: PanelName;
  title: string;
  onClose: () => void;
  children: ReactNode;
}

/** The side panel of the call; on a phone it covers the pictures. Escape closes it, or a dialog that was opened from it. */
export function Panel({ name, title, onClose, children }: Props) {
  const { t } = useTranslation();
  const panel = useRef<HTMLElement>(null);

  useEffect(() => {
    const element = panel.current;
    const onKey = (event: KeyboardEvent) => {
      const isOfDialog = event.target instanceof Element && event.target.closest("dialog") !== null;
      if (event.key === "Escape" && !isOfDialog) onClose();
    };
    element?.addEventListener("keydown", onKey);
    return () => {
      element?.removeEventListener("keydown", onKey);
    };
  }, [onClose]);

  return (
    <aside ref={panel} className="panel" data-testid={`${name}-panel`} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <button type="button" className="icon-button" aria-label={t("call.close")} onClick={onClose}>
          <X size={20} aria-hidden />
        </button>
      </header>
      {children}
    </aside>
  );
}
