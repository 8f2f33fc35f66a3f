import { FolderOpen, RotateCw, X } from "lucide-react";
import { useRef, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { OnItsWay, UploadQueue } from "../files/queue";
import { sizeText } from "../files/size";

/** What is on its way into the room. */
export function UploadList({ uploads }: { uploads: UploadQueue }) {
  const { t } = useTranslation();
  const items = useSyncExternalStore(uploads.subscribe, uploads.snapshot);
  if (items.length === 0) return null;
  return (
    <ul className="uploads" aria-label={t("files.onTheirWay")}>
      {items.map((item) => (
        <UploadItem key={item.id} item={item} uploads={uploads} />
      ))}
    </ul>
  );
}

function UploadItem({ item, uploads }: { item: OnItsWay; uploads: UploadQueue }) {
  const { t, language } = useTranslation();
  const { id, name, sizeBytes, state } = item;
  return (
    <li className="upload" data-testid="upload" data-state={state}>
      <span className="upload-name">
        <bdi>{name}</bdi>
        <small>{sizeText(sizeBytes, language)}</small>
      </span>
      {state === "interrupted" && <ChooseAgain id={id} name={name} uploads={uploads} />}
      {state === "failed" && (
        <button
          type="button"
          className="icon-button"
          data-testid="retry-upload"
          aria-label={t("files.retry", { name })}
          onClick={() => {
            uploads.retry(id);
          }}
        >
          <RotateCw size={16} aria-hidden />
        </button>
      )}
      <button
        type="button"
        className="icon-button"
        data-testid="cancel-upload"
        aria-label={t("files.cancel", { name })}
        onClick={() => {
          uploads.cancel(id);
        }}
      >
        <X size={16} aria-hidden />
      </button>
      <HowFar item={item} />
    </li>
  );
}

function HowFar({ item: { name, sizeBytes, sentBytes, state, problem } }: { item: OnItsWay }) {
  const { t } = useTranslation();
  if (problem !== null) {
    return (
      <p className="problem" role="alert" data-testid="upload-problem">
        {t(`files.problem.${problem}`)}
      </p>
    );
  }
  if (state === "interrupted") return <p className="upload-note">{t("files.interrupted")}</p>;
  return <progress aria-label={t("files.progress", { name })} max={Math.max(1, sizeBytes)} value={sentBytes} />;
}

/** A page may not open a file again by itself. */
function ChooseAgain({ id, name, uploads }: { id: number; name: string; uploads: UploadQueue }) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        hidden
        data-testid="upload-again-input"
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          if (file !== undefined) uploads.choose(id, file);
        }}
      />
      <button
        type="button"
        className="icon-button"
        data-testid="upload-again"
        aria-label={t("files.choose", { name })}
        title={t("files.choose", { name })}
        onClick={() => input.current?.click()}
      >
        <FolderOpen size={16} aria-hidden />
      </button>
    </>
  );
}
