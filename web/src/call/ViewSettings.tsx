import { useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Choice } from "../components/Choice";
import { Switch } from "../components/Switch";
import { CAPTION_SIZES, LAYOUTS, OWN_VIEWS } from "../lib/prefs";
import type { Visit } from "../lib/visit";
import { OwnCaptionsSwitch } from "./OwnCaptionsSwitch";

/** How the pictures are shown. */
export function ViewSettings({ visit }: { visit: Visit }) {
  const { t } = useTranslation();
  const { t: tMedia } = useTranslation("media");
  const { stage, ownView, audioOnly, captions } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  return (
    <section className="view-settings">
      <Choice
        label={t("view.layout")}
        testId="choose-layout"
        value={stage}
        options={LAYOUTS}
        name={(layout) => t(`view.layouts.${layout}`)}
        onChange={(layout) => {
          visit.choose({ stage: layout });
        }}
      />
      <Choice
        label={t("view.own")}
        testId="choose-own-view"
        value={ownView}
        options={OWN_VIEWS}
        name={(view) => t(`view.owns.${view}`)}
        onChange={(view) => {
          visit.choose({ ownView: view });
        }}
      />
      <Choice
        label={tMedia("captions.label")}
        testId="choose-captions"
        value={captions}
        options={CAPTION_SIZES}
        name={(size) => tMedia(`captions.${size}`)}
        onChange={(size) => {
          visit.choose({ captions: size });
        }}
      />
      <OwnCaptionsSwitch visit={visit} />
      <Switch
        label={t("view.audioOnly")}
        testId="audio-only"
        on={audioOnly}
        onChange={(on) => {
          visit.choose({ audioOnly: on });
        }}
      />
    </section>
  );
}
