import { type ComponentType, type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Dialog } from "./Dialog";

interface Failed {
  onRetry: () => void;
}

/**
 * A part of the page that is fetched when it is first shown. Unlike `lazy`, a server that is not reached then takes
 * nothing else from the page: the part says so in its place, and is fetched when one tries again.
 */
export function later<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
  FailedPart: ComponentType<Props & Failed> = FailedInPlace,
  waiting: ReactNode = null,
) {
  let loaded: { Part: ComponentType<Props> } | null = null;
  return function Later(props: Props) {
    const [found, setFound] = useState(loaded);
    const [hasFailed, setFailed] = useState(false);
    useEffect(() => {
      if (found !== null || hasFailed) return;
      let isOver = false;
      load().then(
        (Part) => {
          loaded = { Part };
          if (!isOver) setFound(loaded);
        },
        () => {
          if (!isOver) setFailed(true);
        },
      );
      return () => {
        isOver = true;
      };
    }, [found, hasFailed]);
    if (found !== null) return <found.Part {...props} />;
    if (!hasFailed) return waiting;
    return (
      <FailedPart
        {...props}
        onRetry={() => {
          setFailed(false);
        }}
      />
    );
  };
}

/** As `later`, of a dialog. */
export function laterDialog<Props extends { onClose: () => void }>(load: () => Promise<ComponentType<Props>>) {
  return later<Props>(load, FailedDialog);
}

function FailedInPlace({ onRetry }: Failed) {
  const { t } = useTranslation();
  return (
    <div className="later-failed" data-testid="not-loaded">
      <p role="alert">{t("call.notLoaded")}</p>
      <button type="button" className="button small" data-testid="load-again" onClick={onRetry}>
        {t("log.retry")}
      </button>
    </div>
  );
}

function FailedDialog({ onClose, onRetry }: Failed & { onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog title={t("call.notLoaded")} testId="not-loaded" onClose={onClose}>
      <button type="button" className="button" data-testid="load-again" onClick={onRetry}>
        {t("log.retry")}
      </button>
    </Dialog>
  );
}
