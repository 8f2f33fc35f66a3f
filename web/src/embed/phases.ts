/** What the way into the call and out of it means for the page around the frame. */

import type { SessionState } from "../lib/session";
import { type Tell, tellError } from "./people";

export function tellPhase(before: SessionState | null, now: SessionState, tell: Tell): void {
  const { problem, phase } = now;
  if (problem !== null && problem !== before?.problem) {
    const asked = problem === "password_needed" || problem === "wrong_password";
    if (asked) tell("passwordRequired", {});
    if (problem !== "password_needed") tellError(tell, problem, "the room did not let this person in", !asked);
  }
  if (phase.kind !== "ended" || before?.phase.kind === "ended") return;
  if (phase.reason === "kicked") tell("participantKickedOut", { kicked: { id: "local", local: true }, kicker: {} });
  else if (phase.reason !== null) tellError(tell, phase.reason, "the call has ended, and not because this person left", true);
  tell("readyToClose", {});
}
