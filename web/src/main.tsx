import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { ErrorBoundary } from "./components/ErrorBoundary";
import { initI18n } from "./i18n";
import { OWN_NAME } from "./lib/api";
import { install } from "./lib/installed";
import { readPageConfig } from "./lib/pageConfig";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/landing.css";
import "./styles/lobby.css";
import "./styles/controls.css";
import "./styles/tiles.css";
import "./styles/call.css";
import "./styles/panels.css";
import "./styles/chat.css";
import "./styles/files.css";
import "./styles/sealed.css";
import "./styles/hosts.css";
import "./styles/captions.css";
import "./styles/reactions.css";
import "./styles/floating.css";
import "./styles/landscape.css";

async function start(): Promise<void> {
  const config = readPageConfig(document);
  await initI18n(config?.name ?? OWN_NAME);
  const isOffline = document.querySelector('meta[name="app-offline"]') !== null;
  const root = document.getElementById("root");
  if (root === null) throw new Error("index.html has no #root");
  createRoot(root).render(
    <StrictMode>
      <ErrorBoundary>
        <App known={config} offline={isOffline} />
      </ErrorBoundary>
    </StrictMode>,
  );
}

void start().then(install);
