import { lazy, type ReactNode, Suspense, useEffect, useLayoutEffect, useState } from "react";
import { BrandContext } from "./components/brandContext";
import { fetchConfig, OWN_NAME, type ServerConfig } from "./lib/api";
import { brandRules, NO_BRAND } from "./lib/brand";
import { usePath, useRoomOfPath } from "./lib/router";
import { Landing } from "./screens/Landing";
import { NotFound } from "./screens/NotFound";
import { OfflinePage } from "./screens/OfflinePage";

// The media library is most of the code, and the start page does not need it.
const RoomPage = lazy(async () => ({ default: (await import("./screens/RoomPage")).RoomPage }));
const AccountPages = lazy(async () => ({ default: (await import("./account/AccountPage")).AccountPages }));
const AdminPage = lazy(async () => ({ default: (await import("./admin/AdminPage")).AdminPage }));
const CheckPage = lazy(async () => ({ default: (await import("./check/CheckPage")).CheckPage }));

const DEFAULT_CONFIG: ServerConfig = {
  name: OWN_NAME,
  version: "",
  guestRooms: null,
  accounts: false,
  defaultKind: "open",
  frameAncestors: null,
  brand: NO_BRAND,
};

/** Asks the server only where it did not write into the page what is `known`. */
function useServerConfig(known: ServerConfig | null): ServerConfig {
  const [config, setConfig] = useState(known ?? DEFAULT_CONFIG);
  useEffect(() => {
    if (known !== null) return;
    let current = true;
    fetchConfig().then(
      (answer) => {
        if (current) setConfig(answer);
      },
      () => {
        // The name stays the default; joining tells about a server that does not answer.
        if (current) setConfig({ ...DEFAULT_CONFIG, frameAncestors: [] });
      },
    );
    return () => {
      current = false;
    };
  }, [known]);
  return config;
}

/** Before anything is painted. The page's policy allows no inline style, but rules that a script of ours has made. */
function useBrandColours(rules: string): void {
  useLayoutEffect(() => {
    if (rules === "") return;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(rules);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    return () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    };
  }, [rules]);
}

export function App({ known, offline }: { known: ServerConfig | null; offline: boolean }) {
  const path = usePath();
  const room = useRoomOfPath();
  const config = useServerConfig(known);
  useBrandColours(brandRules(config.brand));

  useEffect(() => {
    document.title = room === null ? config.name : `${room} · ${config.name}`;
  }, [room, config.name]);

  return <BrandContext value={config.brand}>{offline ? <OfflinePage appName={config.name} /> : pageOf(room, path, config)}</BrandContext>;
}

function pageOf(room: string | null, path: string, config: ServerConfig): ReactNode {
  if (room === null) {
    if (path === "/") return <Landing config={config} />;
    if (path === "/account" || path === "/account/openid") return later(<AccountPages config={config} path={path} />);
    if (path === "/check") return later(<CheckPage config={config} />);
    if (path === "/admin") return later(<AdminPage config={config} />);
    return <NotFound config={config} path={path} />;
  }
  return later(<RoomPage key={room} roomName={room} config={config} />);
}

function later(page: ReactNode) {
  return <Suspense fallback={<div className="splash" aria-busy="true" />}>{page}</Suspense>;
}
