/** What a host has put first for all. The server keeps it in the attributes of the participant that is shown. */

import type { Participant } from "livekit-client";
import type { Item } from "./stage";

export type Shown = "camera" | "screen";

export interface Spotlight extends Item {
  /** The name of the host. */
  by: string;
}

export function spotlightOf({ attributes }: Participant): Shown | null {
  const shown = attributes["ting.spotlight"];
  return shown === "camera" || shown === "screen" ? shown : null;
}

export function findSpotlight(participants: readonly Participant[]): Spotlight | null {
  for (const participant of participants) {
    const shown = spotlightOf(participant);
    if (shown === null) continue;
    const { identity, attributes } = participant;
    return { kind: shown === "screen" ? "screen" : "person", identity, by: attributes["ting.spotlight_by"] ?? "" };
  }
  return null;
}
