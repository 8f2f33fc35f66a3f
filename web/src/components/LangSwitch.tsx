import { Languages } from "lucide-react";
import { useTranslation } from "react-i18next";
import { currentLanguage, setLanguage } from "../i18n";

/** Switches between the two languages; shows the one that it leads to, in that language. */
export function LangSwitch() {
  const { t } = useTranslation();
  return (
    <button
      type="button"
      className="button quiet"
      data-testid="lang-switch"
      lang={currentLanguage() === "en" ? "zh-CN" : "en"}
      aria-label={t("lang.switch")}
      onClick={() => void setLanguage(currentLanguage() === "en" ? "zh-CN" : "en")}
    >
      <Languages size={18} aria-hidden />
      <span>{t("lang.other")}</span>
    </button>
  );
}
