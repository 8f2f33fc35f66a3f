import { useTranslation } from "react-i18next";
import { keyOf, SHORTCUTS } from "../lib/shortcuts";

export function ShortcutList() {
  const { t } = useTranslation();
  return (
    <dl className="shortcut-list" data-testid="shortcut-list">
      {SHORTCUTS.map((shortcut) => (
        <div key={shortcut}>
          <dt>{t(`settings.${shortcut}`)}</dt>
          <dd>
            <kbd>{keyOf(shortcut)}</kbd>
          </dd>
        </div>
      ))}
      <div>
        <dt>{t("settings.talk")}</dt>
        <dd>
          <kbd>{t("settings.space")}</kbd>
        </dd>
      </div>
    </dl>
  );
}
