import { RotateCw, WifiOff } from "lucide-react";
import { useEffect } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Brand } from "../components/Brand";
import { LangSwitch } from "../components/LangSwitch";

const reload = () => {
  window.location.reload();
};

/** What the service worker shows in every page's place where there is no network; it goes when there is one again. */
export function OfflinePage({ appName }: { appName: string }) {
  const { t } = useTranslation("media");
  useEffect(() => {
    window.addEventListener("online", reload);
    return () => {
      window.removeEventListener("online", reload);
    };
  }, []);
  return (
    <div className="page">
      <header className="top-bar">
        <Brand name={appName} />
        <LangSwitch />
      </header>
      <main className="end-page">
        <div className="card end-card" data-testid="offline-page">
          <span className="end-icon warn">
            <WifiOff size={28} aria-hidden />
          </span>
          <h1>{t("offline.title")}</h1>
          <p>{t("offline.text")}</p>
          <div className="end-actions">
            <button type="button" className="button primary large" onClick={reload}>
              <RotateCw size={18} aria-hidden />
              {t("offline.again")}
            </button>
          </div>
        </div>
      </main>
    </div>
  );
}
