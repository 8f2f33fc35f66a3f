import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { useTranslation } from "../i18n/useTranslation";

interface Props {
  title: string;
  testId: string;
  onClose: () => void;
  children: ReactNode;
}

/** A modal dialog that is open as long as it is there. */
export function Dialog({ title, testId, onClose, children }: Props) {
  const { t } = useTranslation();
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      // A dialog that is taken away while it is open does not give the focus back itself.
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    // The backdrop is part of the dialog element: a click on it and not on the content closes.
    <dialog
      ref={dialog}
      className="settings"
      data-testid={testId}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === event.currentTarget) event.currentTarget.close();
      }}
    >
      <div className="settings-body">
        <header>
          <h2 id={id}>{title}</h2>
          <button
            type="button"
            className="icon-button"
            data-testid={`close-${testId}`}
            aria-label={t("call.close")}
            onClick={() => {
              dialog.current?.close();
            }}
          >
            <X size={20} aria-hidden />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  yes: string;
  onYes: () => void;
  onClose: () => void;
}

/** Asks before what cannot be undone. */
export function Confirm({ title, text, yes, onYes, onClose }: ConfirmProps) {
  const { t } = useTranslation();
  return (
    <Dialog title={title} testId="confirm" onClose={onClose}>
      <p className="account-text">{text}</p>
      <div className="account-actions">
        <button type="button" className="button" data-testid="confirm-no" onClick={onClose}>
          {t("account.cancel")}
        </button>
        <button
          type="button"
          className="button danger"
          data-testid="confirm-yes"
          onClick={() => {
            onClose();
            onYes();
          }}
        >
          {yes}
        </button>
      </div>
    </Dialog>
  );
}
