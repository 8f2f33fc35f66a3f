import { RotateCw, X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
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
  const { t, i18n } = useTranslation();
  const { id, name, sizeBytes, sentBytes, state, problem } = item;
  return (
    <li className="upload" data-testid="upload" data-state={state}>
      <span className="upload-name">
        <bdi>{name}</bdi>
        <small>{sizeText(sizeBytes, i18n.language)}</small>
      </span>
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
      {problem === null ? (
        <progress aria-label={t("files.progress", { name })} max={Math.max(1, sizeBytes)} value={sentBytes} />
      ) : (
        <p className="problem" role="alert" data-testid="upload-problem">
          {t(`files.problem.${problem}`)}
        </p>
      )}
    </li>
  );
}
