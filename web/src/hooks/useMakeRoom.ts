import { useState } from "react";
import { accountSession } from "../account/session";
import { createLastingRoom, fetchConfig, type ServerConfig } from "../lib/api";
import { apiProblem, type JoinProblem } from "../lib/joinProblem";
import { keepKey, keepLinkSecret, newKey, newLinkSecret, setRecoveryDue } from "../lib/keys";
import { loadPrefs } from "../lib/prefs";
import { newRoomName, roomPath } from "../lib/rooms";
import { navigate } from "../lib/router";
import { gateOf } from "../sealed/linkSecret";

/** A new room in one step: one that lasts and is owned by whoever is signed in or by this browser, or, where the server makes none, a name. */
export function useMakeRoom(config: ServerConfig) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<JoinProblem | null>(null);

  const make = async () => {
    setBusy(true);
    setProblem(null);
    try {
      navigate(roomPath(await nameOfNewRoom(config)));
    } catch (error) {
      setProblem(apiProblem(error));
      setBusy(false);
    }
  };
  return { busy, problem, make: () => void make() };
}

async function nameOfNewRoom(config: ServerConfig): Promise<string> {
  const { guestRooms, accounts, defaultKind } = config.guestRooms === null ? await fetchConfig() : config;
  const ownerName = loadPrefs().name.trim();
  // With an account the room is the account's: there is no key that could be lost, or found.
  const isAccount = accounts && (await accountSession.load());
  if (!isAccount && !guestRooms) return newRoomName();
  const key = isAccount ? "" : newKey();
  const secret = defaultKind === "sealed" ? newLinkSecret() : null;
  const name = await createLastingRoom(key, ownerName, defaultKind, secret === null ? null : await gateOf(secret));
  if (secret !== null) keepLinkSecret(name, secret);
  if (!isAccount) {
    keepKey(name, key);
    setRecoveryDue(name, true);
  }
  return name;
}
