import { lazy, type ReactNode, Suspense, useEffect, useState } from "react";
import { fetchConfig, type ServerConfig } from "./lib/api";
import { usePath, useRoomOfPath } from "./lib/router";
import { Landing } from "./screens/Landing";
import { NotFound } from "./screens/NotFound";

// The media library is most of the code, and the start page does not need it.
const RoomPage = lazy(async () => ({ default: (await import("./screens/RoomPage")).RoomPage }));
const AccountPages = lazy(async () => ({ default: (await import("./account/AccountPage")).AccountPages }));
const AdminPage = lazy(async () => ({ default: (await import("./admin/AdminPage")).AdminPage }));
const CheckPage = lazy(async () => ({ default: (await import("./check/CheckPage")).CheckPage }));

const DEFAULT_CONFIG: ServerConfig = {
  name: "Ting",
  version: "",
  guestRooms: null,
  accounts: false,
  defaultKind: "open",
  frameAncestors: null,
};

function useServerConfig(): ServerConfig {
  const [config, setConfig] = useState(DEFAULT_CONFIG);
  useEffect(() => {
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
  }, []);
  return config;
}

export function App() {
  const path = usePath();
  const room = useRoomOfPath();
  const config = useServerConfig();

  useEffect(() => {
    document.title = room === null ? config.name : `${room} · ${config.name}`;
  }, [room, config.name]);

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
