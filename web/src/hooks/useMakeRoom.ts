import { useState } from "react";
import { createLastingRoom, fetchConfig, type ServerConfig } from "../lib/api";
import { apiProblem, type JoinProblem } from "../lib/joinProblem";
import { keepKey, newKey, setRecoveryDue } from "../lib/keys";
import { loadPrefs } from "../lib/prefs";
import { newRoomName, roomPath } from "../lib/rooms";
import { navigate } from "../lib/router";

/** A new room in one step: one that lasts and is owned by this browser, or, where the server makes none, a name. */
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
  const guestRooms = config.guestRooms ?? (await fetchConfig()).guestRooms;
  if (!guestRooms) return newRoomName();
  const key = newKey();
  const name = await createLastingRoom(key, loadPrefs().name.trim());
  keepKey(name, key);
  setRecoveryDue(name, true);
  return name;
}
