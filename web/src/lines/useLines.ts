import { useCallback, useEffect, useState } from "react";
import type { CallTimeline, CallTimelines, KeptTimeline } from "../log/timelines";
import { memberOf, type RoomLive } from "../room/RoomLive";
import { fetchKept, together } from "./kept";

const REFRESH_MS = 4000;
const NOBODY: CallTimelines = { timelines: [], missing: [] };

export interface Lines {
  /** Names by member, of whom something is known or should be; null until it is. */
  people: ReadonlyMap<string, string> | null;
  /** Of the member in the call that is under way. */
  now: readonly CallTimeline[];
  /** When that was so. */
  atMs: number;
  /** Whether the member is on another node, which does not answer. */
  isMissing: boolean;
  kept: readonly KeptTimeline[];
  /** Whether more may be kept. */
  hasEarlier: boolean;
  failed: boolean;
  loadEarlier: () => Promise<void>;
  forget: () => Promise<void>;
}

/** What the server knows of a member's line; what the entry `seq` keeps is among it. */
export function useLines({ api }: RoomLive, member: string, seq: number | null): Lines {
  const [overview, setOverview] = useState<CallTimelines | null>(null);
  const [own, setOwn] = useState<{ member: string; timelines: readonly CallTimeline[]; atMs: number }>({ member: "", timelines: [], atMs: 0 });
  const [kept, setKept] = useState<{ timelines: readonly KeptTimeline[]; before: number | null }>({ timelines: [], before: null });
  const [failed, setFailed] = useState(false);

  useEffect(() => {
    let timer: number | undefined;
    let over = false;
    const ask = async () => {
      try {
        const [all, one] = await Promise.all([api.callTimelines("", false), member === "" ? NOBODY : api.callTimelines(member, true)]);
        if (over) return;
        setOverview(all);
        setOwn({ member, timelines: one.timelines, atMs: Date.now() });
        setFailed(false);
      } catch {
        if (!over) setFailed(true);
      }
      if (!over) timer = window.setTimeout(() => void ask(), REFRESH_MS);
    };
    void ask();
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, [api, member]);

  const load = useCallback(
    (before: number | null) =>
      fetchKept(api, before, seq).then(
        (page) => {
          setKept((known) => ({ timelines: before === null ? page.timelines : together(known.timelines, page.timelines), before: page.before }));
        },
        () => {
          setFailed(true);
        },
      ),
    [api, seq],
  );
  useEffect(() => void load(null), [load]);

  const forget = async () => {
    try {
      await api.forgetCallTimelines(member);
      await load(null);
    } catch {
      setFailed(true);
    }
  };
  return {
    people: overview === null ? null : peopleOf(overview, kept.timelines),
    now: own.member === member ? own.timelines : [],
    atMs: own.atMs,
    isMissing: overview?.missing.some((one) => one.member === member) ?? false,
    kept: kept.timelines.filter(({ identity }) => identity === member),
    hasEarlier: kept.before !== null,
    failed,
    loadEarlier: () => load(kept.before),
    forget,
  };
}

function peopleOf({ timelines, missing }: CallTimelines, kept: readonly KeptTimeline[]): Map<string, string> {
  const people = new Map<string, string>();
  for (const { identity, name } of kept) people.set(identity, name);
  for (const { member, name } of missing) people.set(member, name);
  for (const { identity, name } of timelines) people.set(memberOf(identity), name);
  return people;
}
