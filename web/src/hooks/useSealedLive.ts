import { type ComponentType, useEffect, useState } from "react";
import type { RoomKind } from "../lib/api";
import type { RoomLiveProps } from "../room/RoomLive";

interface SealedLive {
  Provider: ComponentType<RoomLiveProps>;
}

/**
 * Encryption comes with the rooms that have it. Not by `lazy`: React shows what a boundary waited for up to 0.3 s late,
 * and a sealed room's first picture waits for it. Throws, while rendering, what kept it from being fetched.
 */
export function useSealedLive(kind: RoomKind | undefined): SealedLive | null {
  const [loaded, setLoaded] = useState<SealedLive | { problem: unknown } | null>(null);
  useEffect(() => {
    if (kind !== "sealed") return;
    import("../room/SealedLive").then(
      ({ SealedLiveProvider }) => {
        setLoaded({ Provider: SealedLiveProvider });
      },
      (problem: unknown) => {
        setLoaded({ problem });
      },
    );
  }, [kind]);
  if (loaded !== null && "problem" in loaded) throw loaded.problem;
  return loaded;
}
