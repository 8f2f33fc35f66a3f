import { useEffect } from "react";
import type { RoomKind } from "../lib/api";

async function prepare(): Promise<void> {
  const [{ warmUp }] = await Promise.all([
    import("../sealed/mlsEngine"),
    import("../sealed/callMedia"),
    import("../room/SealedLive"),
  ]);
  warmUp();
}

/** What a sealed room needs is fetched and compiled while people look at the device check. */
export function usePreparedSeal(kind: RoomKind | undefined): void {
  useEffect(() => {
    // What cannot be had now is asked for again, and then missed with a sentence, when it is needed.
    if (kind === "sealed") prepare().catch(() => undefined);
  }, [kind]);
}
