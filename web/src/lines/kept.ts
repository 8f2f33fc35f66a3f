/** What is kept of calls that are over, page by page. */

import type { KeptTimeline, KeptTimelines } from "../log/timelines";
import type { RoomApi } from "../log/rest";

type Api = Pick<RoomApi, "pastCallTimelines">;

/** The page before an entry, or the newest; with the newest also the one of `seq`, however long ago that was. */
export async function fetchKept(api: Api, before: number | null, seq: number | null): Promise<KeptTimelines> {
  const page = await api.pastCallTimelines(before);
  if (before !== null || seq === null || page.timelines.some((one) => one.seq === seq)) return page;
  const asked = await api.pastCallTimelines(seq + 1, 1);
  return { ...page, timelines: together(page.timelines, asked.timelines.filter((one) => one.seq === seq)) };
}

/** Newest first, each once. */
export function together(known: readonly KeptTimeline[], more: readonly KeptTimeline[]): KeptTimeline[] {
  const bySeq = new Map([...known, ...more].map((one) => [one.seq, one]));
  return [...bySeq.values()].sort((one, other) => other.seq - one.seq);
}
