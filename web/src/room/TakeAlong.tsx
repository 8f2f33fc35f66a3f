import { Download, Upload } from "lucide-react";
import { useRef, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { ArchiveState, Imported, RoomArchives } from "../files/archives";
import { sizeText } from "../files/size";

/** The room as an archive, for its owners. What has begun goes on when the dialog is closed. */
export function TakeAlong({ archives }: { archives: RoomArchives }) {
  const { t } = useTranslation();
  const state = useSyncExternalStore(archives.subscribe, archives.snapshot);
  const isMoving = state.kind === "taking" || state.kind === "bringing" || state.kind === "checking";
  return (
    <section className="room-section" data-testid="archive" data-state={state.kind}>
      <h3>{t("archive.title")}</h3>
      <p>{t("archive.hint")}</p>
      {isMoving ? (
        <Moving state={state} onCancel={archives.cancel} />
      ) : (
        <div className="recovery-actions">
          <button type="button" className="button small" data-testid="take-archive" onClick={() => void archives.take()}>
            <Download size={16} aria-hidden />
            {t("archive.take")}
          </button>
          <BringButton onFile={(file) => void archives.bring(file)} />
        </div>
      )}
      <Outcome state={state} />
    </section>
  );
}

function BringButton({ onFile }: { onFile: (file: File) => void }) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" className="button small" data-testid="bring-archive" onClick={() => input.current?.click()}>
        <Upload size={16} aria-hidden />
        {t("archive.bring")}
      </button>
      <input
        ref={input}
        type="file"
        accept=".tar,application/x-tar"
        hidden
        data-testid="archive-input"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file !== undefined) onFile(file);
          // The same file may be chosen again.
          event.target.value = "";
        }}
      />
    </>
  );
}

type MovingState = Extract<ArchiveState, { kind: "taking" | "bringing" | "checking" }>;

function Moving({ state, onCancel }: { state: MovingState; onCancel: () => void }) {
  const { t, language } = useTranslation();
  const { kind } = state;
  const isCounted = kind !== "checking" && state.totalBytes > 0;
  const size = (bytes: number) => sizeText(bytes, language);
  return (
    <div className="transfer">
      <progress
        aria-label={t(`archive.${kind}`)}
        data-testid="archive-progress"
        {...(isCounted ? { max: state.totalBytes, value: state.doneBytes } : {})}
      />
      <span>
        {isCounted
          ? t("archive.bytes", { done: size(state.doneBytes), total: size(state.totalBytes) })
          : t(kind === "checking" ? "archive.checking" : "archive.preparing")}
      </span>
      <button type="button" className="button quiet small" data-testid="cancel-archive" onClick={onCancel}>
        {t("archive.cancel")}
      </button>
    </div>
  );
}

function Outcome({ state }: { state: ArchiveState }) {
  const { t } = useTranslation();
  if (state.kind === "failed") {
    return (
      <p className="problem" role="alert" data-testid="archive-problem">
        {t(`archive.problem.${state.problem}`)}
      </p>
    );
  }
  return (
    <p role="status" data-testid="archive-outcome">
      {state.kind === "taken" && t("archive.taken")}
      {state.kind === "brought" && <Brought imported={state.imported} />}
    </p>
  );
}

function Brought({ imported: { entries, files, leftOut } }: { imported: Imported }) {
  const { t } = useTranslation();
  const parts = [t("archive.entries", { count: entries })];
  if (files > 0) parts.push(t("archive.files", { count: files }));
  if (leftOut > 0) parts.push(t("archive.leftOut", { count: leftOut }));
  return parts.join(" · ");
}
