import i18next from "i18next";
import { Component, type ReactNode } from "react";

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
    return (
      <main className="end-page">
        <div className="card end-card" role="alert">
          <h1>{i18next.t("error.title")}</h1>
          <p>{i18next.t("error.text")}</p>
          <button
            type="button"
            className="button primary"
            onClick={() => {
              window.location.reload();
            }}
          >
            {i18next.t("error.reload")}
          </button>
        </div>
      </main>
    );
  }
}
