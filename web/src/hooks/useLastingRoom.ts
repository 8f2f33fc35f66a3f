import { type ComponentType, useEffect, useState } from "react";
import type { Admission, RoomKind } from "../lib/api";
import type { RoomLiveProps } from "../room/RoomLive";

type Provider = ComponentType<RoomLiveProps>;

interface Lasting {
  Provider: Provider;
}

async function load(kind: RoomKind): Promise<Provider> {
  return kind === "sealed" ? (await import("../room/SealedLive")).SealedLiveProvider : (await import("../room/RoomLiveProvider")).RoomLiveProvider;
}

/**
 * What a room that lasts needs, encryption too where it has it; null while it is fetched, and where there is only a call.
 * Not by `lazy`: React shows what a boundary waited for up to 0.3 s late, and a sealed room's first picture waits for it.
 * Throws, while rendering, what kept it from being fetched.
 */
export function useLastingRoom(admission: Admission | null): Lasting | null {
  const [loaded, setLoaded] = useState<(Lasting & { of: RoomKind }) | { problem: unknown } | null>(null);
  const kind = admission?.lasts === true ? admission.kind : null;
  useEffect(() => {
    if (kind === null) return;
    let isOver = false;
    load(kind).then(
      (Provider) => {
        if (!isOver) setLoaded({ of: kind, Provider });
      },
      (problem: unknown) => {
        if (!isOver) setLoaded({ problem });
      },
    );
    return () => {
      isOver = true;
    };
  }, [kind]);
  if (loaded !== null && "problem" in loaded) throw loaded.problem;
  return loaded?.of === kind ? loaded : null;
}

async function prepare(kind: RoomKind): Promise<void> {
  if (kind !== "sealed") {
    await load(kind);
    return;
  }
  const [{ warmUp }] = await Promise.all([import("../sealed/mlsEngine"), import("../sealed/callMedia"), load(kind)]);
  warmUp();
}

/** It is fetched, and what encrypts is compiled, while people look at the device check. */
export function usePreparedRoom(kind: RoomKind | undefined): void {
  useEffect(() => {
    // What cannot be had now is asked for again, and then missed with a sentence, when it is needed.
    if (kind !== undefined) prepare(kind).catch(() => undefined);
  }, [kind]);
}
