import { type KeyboardEvent, useState, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { DEFAULT_KEYS, keyOfPress, SHORTCUTS, type Shortcut } from "../lib/shortcuts";
import type { Visit } from "../lib/visit";

/** What keys do in the call, and which ones: a press on a key's button waits for another one. */
export function ShortcutList({ visit }: { visit: Visit }) {
  const { t } = useTranslation();
  const { keys } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const [waiting, setWaiting] = useState<Shortcut | null>(null);
  const [problem, setProblem] = useState("");

  const choose = (shortcut: Shortcut, key: string) => {
    setWaiting(null);
    visit.choose({ keys: { ...keys, [shortcut]: key } });
  };
  const take = (shortcut: Shortcut, event: KeyboardEvent) => {
    if (event.key === "Tab") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") setWaiting(null);
    else if (event.key === "Backspace" || event.key === "Delete") choose(shortcut, "");
    else {
      const key = keyOfPress(event.nativeEvent);
      const holder = SHORTCUTS.find((one) => one !== shortcut && key !== "" && keys[one] === key);
      if (holder !== undefined) setProblem(t("settings.keyTaken", { key: key.toUpperCase(), what: t(`settings.${holder}`) }));
      else if (key !== "") choose(shortcut, key);
    }
  };

  return (
    <>
      <dl className="shortcut-list" data-testid="shortcut-list">
        {SHORTCUTS.map((shortcut) => (
          <div key={shortcut}>
            <dt>{t(`settings.${shortcut}`)}</dt>
            <dd>
              <button
                type="button"
                className="key-button"
                data-testid={`key-${shortcut}`}
                aria-label={t("settings.changeKey", { what: t(`settings.${shortcut}`), key: keys[shortcut].toUpperCase() || t("settings.noKey") })}
                aria-pressed={waiting === shortcut}
                onClick={() => {
                  setProblem("");
                  setWaiting(waiting === shortcut ? null : shortcut);
                }}
                onKeyDown={(event) => {
                  if (waiting === shortcut) take(shortcut, event);
                }}
                onBlur={() => {
                  setWaiting(null);
                }}
              >
                <kbd>{waiting === shortcut ? "…" : keys[shortcut].toUpperCase() || "–"}</kbd>
              </button>
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
      <p className={problem === "" ? "hint" : "problem"} role="status" data-testid="key-note">
        {problem !== "" ? problem : waiting !== null ? t("settings.pressKey") : t("settings.keyHint")}
      </p>
      <button
        type="button"
        className="button small"
        data-testid="keys-reset"
        onClick={() => {
          setProblem("");
          visit.choose({ keys: DEFAULT_KEYS });
        }}
      >
        {t("settings.resetKeys")}
      </button>
    </>
  );
}
