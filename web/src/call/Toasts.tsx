import type { Translate } from "../i18n/translate";
import { Track } from "livekit-client";
import { X } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { Toast } from "../hooks/useToasts";
import type { DeviceProblem, OwnDeviceProblem } from "../lib/devices";

/** The sentence for a device of one's own that does not work. */
export function problemText(t: Translate, source: Track.Source, problem: DeviceProblem): string {
  if (source === Track.Source.ScreenShare) {
    return t(problem === "denied" ? "deviceProblem.screen.denied" : "deviceProblem.screen.unknown");
  }
  return t(`deviceProblem.${source === Track.Source.Camera ? "camera" : "mic"}.${problem}`);
}

interface ToastsProps {
  toasts: readonly Toast[];
  dismiss: (id: number) => void;
  problems: readonly OwnDeviceProblem[];
}

/** Notices that go away by themselves, and problems that stay until they are closed. */
export function Toasts({ toasts, dismiss, problems }: ToastsProps) {
  const { t } = useTranslation();
  const [hidden, setHidden] = useState<ReadonlySet<OwnDeviceProblem>>(new Set());
  return (
    <div className="toasts" role="status">
      {problems
        .filter((entry) => !hidden.has(entry))
        .map((entry) => (
          <ToastLine
            key={entry.source}
            kind="problem"
            text={problemText(t, entry.source, entry.problem)}
            onClose={() => {
              setHidden(new Set([...hidden, entry]));
            }}
          />
        ))}
      {toasts.map((toast) => (
        <ToastLine
          key={toast.id}
          kind={toast.kind}
          text={toast.text}
          onClose={() => {
            dismiss(toast.id);
          }}
        />
      ))}
    </div>
  );
}

function ToastLine({ kind, text, onClose }: { kind: Toast["kind"]; text: string; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <div className={`toast ${kind}`} data-testid={kind === "problem" ? "device-error" : "toast"}>
      <span>{text}</span>
      {kind === "problem" && (
        <button type="button" className="icon-button" aria-label={t("call.close")} onClick={onClose}>
          <X size={16} aria-hidden />
        </button>
      )}
    </div>
  );
}
