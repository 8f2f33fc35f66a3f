import { useCallback, useEffect, useRef, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { BreakoutState } from "../room/breakouts";
import type { RoomLive } from "../room/RoomLive";

const NOWHERE = { subscribe: () => () => undefined, snapshot: () => null };
/** How long people still come back after the rooms have ended. */
const RETURN_MS = 5000;

/** Null in a room that is only a call. */
export function useBreakouts(live: RoomLive | null): BreakoutState | null {
  return useSyncExternalStore<BreakoutState | null>(
    live?.breakouts.subscribe ?? NOWHERE.subscribe,
    live?.breakouts.snapshot ?? NOWHERE.snapshot,
  );
}

/**
 * Tells where one is taken. What is returned shows the comings and goings of others, but not while people are moved
 * from room to room.
 */
export function useBreakoutNews(live: RoomLive | null, show: (text: string) => void): (text: string) => void {
  const { t } = useTranslation("hosts");
  const state = useBreakouts(live);
  const open = state?.open ?? false;
  const mine = state?.mine ?? 0;
  const before = useRef({ open, mine });
  const quietUntilMs = useRef(0);

  useEffect(() => {
    const was = before.current;
    before.current = { open, mine };
    quietUntilMs.current = open ? Infinity : was.open ? Date.now() + RETURN_MS : quietUntilMs.current;
    if (was.open && !open) show(t("breakouts.ended"));
    else if (open && was.mine !== mine) show(mine === 0 ? t("breakouts.movedBack") : t("breakouts.movedTo", { number: mine }));
  }, [open, mine, show, t]);

  return useCallback(
    (text: string) => {
      if (Date.now() >= quietUntilMs.current) show(text);
    },
    [show],
  );
}
