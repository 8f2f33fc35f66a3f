/** After the server went away: whether to try again, and when. */

import type { EndReason } from "./call";
import type { JoinProblem } from "./joinProblem";

const AWAY_REASONS = ["server_shutdown", "unreachable"] as const;
export type AwayReason = (typeof AWAY_REASONS)[number];

const FIRST_MS = 1000;
const LONGEST_MS = 20_000;

/** Whether a call that ended so goes on by itself as soon as the server answers. */
export function isAwayReason(reason: EndReason): reason is AwayReason {
  return AWAY_REASONS.some((away) => away === reason);
}

/** Whether a join that failed so may succeed later without anybody doing anything. */
export function comesBack(problem: JoinProblem): boolean {
  switch (problem) {
    case "unreachable":
    case "unavailable":
    case "rate_limited":
    case "media_blocked":
    case "unknown":
      return true;
    default:
      return false;
  }
}

/**
 * The pause before try number `attempt` (from 0), in milliseconds. It doubles up to 20 s. Half of it is chance, so that
 * all the people of a server do not come back in the same moment.
 */
export function pauseMs(attempt: number, random: () => number = Math.random): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  return longest / 2 + (random() * longest) / 2;
}
