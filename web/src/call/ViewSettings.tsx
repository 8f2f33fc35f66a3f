import { useId, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { Switch } from "../components/Switch";
import { LAYOUTS, OWN_VIEWS } from "../lib/prefs";
import type { Visit } from "../lib/visit";

/** How the pictures are shown. */
export function ViewSettings({ visit }: { visit: Visit }) {
  const { t } = useTranslation();
  const { stage, ownView, audioOnly } = useSyncExternalStore(visit.subscribe, visit.snapshot);
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

interface ChoiceProps<Value extends string> {
  label: string;
  testId: string;
  value: Value;
  options: readonly Value[];
  name: (value: Value) => string;
  onChange: (value: Value) => void;
}

function Choice<Value extends string>({ label, testId, value, options, name, onChange }: ChoiceProps<Value>) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="select">
        <select
          id={id}
          data-testid={testId}
          value={value}
          onChange={(event) => {
            const chosen = options.find((option) => option === event.target.value);
            if (chosen !== undefined) onChange(chosen);
          }}
        >
          {options.map((option) => (
            <option key={option} value={option}>
              {name(option)}
            </option>
          ))}
        </select>
      </div>
    </div>
  );
}
