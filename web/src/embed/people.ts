/** Who is in the call, as the page around the frame hears of it. */

import type { Participant } from "livekit-client";
import { reaches, roleOf } from "../lib/api";
import { displayName } from "../lib/people";

export interface Shown {
  id: string;
  displayName: string;
  role: "moderator" | "participant";
  local: boolean;
}

export type Tell = (name: string, data: Record<string, unknown>) => void;

export function shownOf(participant: Participant): Shown {
  const role = roleOf(participant.attributes["ting.role"]);
  return {
    id: participant.identity,
    displayName: displayName(participant),
    role: reaches(role, "moderator") ? "moderator" : "participant",
    local: participant.isLocal,
  };
}

/** What makes `before` to `after`. */
export function tellPeople(before: readonly Shown[], after: readonly Shown[], tell: Tell): void {
  for (const { id, local } of before) {
    if (!local && !after.some((one) => one.id === id)) tell("participantLeft", { id });
  }
  for (const { id, displayName, role, local } of after) {
    const known = before.find((one) => one.id === id);
    if (known === undefined && !local) tell("participantJoined", { id, displayName, formattedDisplayName: displayName });
    if (known !== undefined && known.displayName !== displayName) {
      tell("displayNameChange", { id, displayname: displayName, formattedDisplayName: displayName });
    }
    if ((known?.role ?? "participant") !== role) tell("participantRoleChanged", { id, role });
  }
}

/** `name` is stable, for programs; the shape is that of Jitsi, flat and nested. */
export function tellError(tell: Tell, name: string, message: string, isFatal: boolean): void {
  const error = { name: `ting.${name}`, type: "CONFERENCE", message, isFatal, details: {} };
  tell("errorOccurred", { ...error, error });
}
