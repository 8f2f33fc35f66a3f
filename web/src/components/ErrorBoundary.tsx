import { Component, type ReactNode } from "react";
import { translator } from "../i18n/translate";

interface Props {
  children: ReactNode;
}

/** Shows a sentence instead of a blank page when rendering fails. */
export class ErrorBoundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    const t = translator("translation");
    return (
      <main className="end-page">
        <div className="card end-card" role="alert">
          <h1>{t("error.title")}</h1>
          <p>{t("error.text")}</p>
          <button
            type="button"
            className="button primary"
            onClick={() => {
              window.location.reload();
            }}
          >
            {t("error.reload")}
          </button>
        </div>
      </main>
    );
  }
}
