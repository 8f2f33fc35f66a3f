import { useState, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Switch } from "../components/Switch";
import { ownCaptionSupport, recognitionOf, speechLanguage } from "../lib/ownCaptions";
import type { Visit } from "../lib/visit";

/** Whether what one says oneself goes to the others as text; says why where this browser cannot do it by itself. */
export function OwnCaptionsSwitch({ visit }: { visit: Visit }) {
  const { t, language } = useTranslation("media");
  const { ownCaptions } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const [missing, setMissing] = useState<"pack" | "none" | null>(null);
  const turn = async (on: boolean) => {
    setMissing(null);
    if (on) {
      const support = await ownCaptionSupport(recognitionOf(window), speechLanguage(language, navigator.languages));
      if (support !== "ready") {
        setMissing(support);
        return;
      }
    }
    visit.choose({ ownCaptions: on });
  };
  return (
    <div>
      <Switch label={t("captions.own.label")} testId="own-captions" on={ownCaptions} onChange={(on) => void turn(on)} />
      <p className="effect-note" role="status" data-testid="own-captions-note">
        {missing === null ? t("captions.own.note") : t(`captions.own.${missing}`)}
      </p>
    </div>
  );
}
