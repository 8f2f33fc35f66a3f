import { Languages } from "lucide-react";
import { useTranslation } from "../i18n/useTranslation";
import { currentLanguage, LANGUAGES, NAMES, setLanguage } from "../i18n";

/** Every language by its own name, for those who cannot read the one in use. */
export function LangSwitch() {
  const { t } = useTranslation();
  return (
    <div className="select lang-switch">
      <Languages size={18} aria-hidden />
      <select
        data-testid="lang-switch"
        aria-label={t("settings.language")}
        value={currentLanguage()}
        onChange={(event) => {
          const language = LANGUAGES.find((one) => one === event.target.value);
          if (language !== undefined) void setLanguage(language);
        }}
      >
        {LANGUAGES.map((language) => (
          <option key={language} value={language} lang={language}>
            {NAMES[language]}
          </option>
        ))}
      </select>
    </div>
  );
}
