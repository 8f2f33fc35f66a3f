import type { LocalVideoTrack } from "livekit-client";
import { VideoOff, X } from "lucide-react";
import { useTranslation } from "../i18n/useTranslation";
import { forgetWithheld, keepSlow } from "../effects/background";
import { useBackgroundProblem, useWithheld } from "../hooks/useBackground";

interface Props {
  camera: LocalVideoTrack | null;
  /** The camera, with nothing else behind the person. */
  onUncover: () => void;
  onTryAgain: () => void;
}

/** Asks what to do where the chosen background does not come, and the camera is off, or where it is slow. */
export function BackgroundNotice({ camera, onUncover, onTryAgain }: Props) {
  const { t } = useTranslation("media");
  const { t: common } = useTranslation();
  const withheld = useWithheld() && camera === null;
  const slow = useBackgroundProblem(camera) === "slow";
  if (!withheld && !slow) return null;
  const close = () => {
    if (camera === null) forgetWithheld();
    else keepSlow(camera);
  };
  return (
    <div className="background-notice" role="alert" data-testid="background-notice" data-problem={withheld ? "failed" : "slow"}>
      <VideoOff size={18} aria-hidden />
      <p>{t(withheld ? "background.problem.failed" : "background.problem.slow")}</p>
      <button type="button" className="button small" data-testid="uncover" onClick={onUncover}>
        {t("background.uncover")}
      </button>
      <button type="button" className="button small" data-testid={withheld ? "cover-again" : "keep-cover"} onClick={withheld ? onTryAgain : close}>
        {t(withheld ? "background.again" : "background.keep")}
      </button>
      <button type="button" className="icon-button" aria-label={common("call.close")} onClick={close}>
        <X size={16} aria-hidden />
      </button>
    </div>
  );
}
