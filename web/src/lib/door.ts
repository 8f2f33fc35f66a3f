/** The door of a room: let in, refused, or left waiting until somebody answers the knock. */

import { type Admission, ApiError, asRecord, fetchRoom, fetchToken, keepAdmission, request, roomUrl, toAdmission, type Visitor } from "./api";
import { pauseMs } from "./comeback";
import { keepInvitation, keptLinkSecret } from "./keys";

/** The server answers within 20 s; the way there and back may be slow. */
const POLL_TIMEOUT_MS = 40_000;

/** What does not end the waiting: the server comes back, and so does the knock. */
const PASSING: ReadonlySet<string> = new Set(["unreachable", "unavailable", "rate_limited", "unknown"]);

export type Answer = { answer: "waiting" | "denied" } | { answer: "admitted"; admission: Admission };

async function fetchAnswer(room: string, { token, knock }: Admission): Promise<Answer> {
  const path = roomUrl(room, `/knocks/${encodeURIComponent(knock)}/answer`);
  const body = await request(path, { token, timeoutMs: POLL_TIMEOUT_MS });
  if (body.answer === "admitted") return { answer: "admitted", admission: toAdmission(asRecord(body.admission)) };
  return { answer: body.answer === "denied" ? "denied" : "waiting" };
}

async function withdraw(room: string, { token, knock }: Admission): Promise<void> {
  await request(roomUrl(room, `/knocks/${encodeURIComponent(knock)}`), { method: "DELETE", token });
}

/** What a door does outside of itself; tests give their own. */
export const OUTSIDE = {
  fetchToken,
  fetchAnswer,
  withdraw,
  pause: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
};

export interface DoorControl {
  /** Aborted when the person goes away from the door. */
  signal: AbortSignal;
  /** The knock was heard. */
  onWaiting: () => void;
}

/**
 * Whether this page can be in the room if it is sealed: with its whole link, in a browser that encrypts. Throws
 * `ApiError` sealed_link or sealed_browser; asked before the door, so that nobody is let in for nothing.
 */
export async function checkSeal(room: string): Promise<void> {
  // Then it makes no difference, and one is in sooner.
  if (canSeal() && keptLinkSecret(room) !== null) return;
  const door = await fetchRoom(room).catch(() => null);
  if (door?.kind !== "sealed") return;
  if (!canSeal()) throw new ApiError("sealed_browser", "");
  if (keptLinkSecret(room) === null) throw new ApiError("sealed_link", "");
}

/** Browsers encrypt on pages that came over HTTPS, or from the same machine. */
export function canSeal(): boolean {
  return window.isSecureContext && "RTCRtpSender" in window && ("RTCRtpScriptTransform" in window || "createEncodedStreams" in RTCRtpSender.prototype);
}

/** Throws `ApiError`; `withdrawn` when `signal` was aborted. */
export async function enter(
  room: string,
  visitor: Visitor,
  { signal, onWaiting }: DoorControl,
  outside = OUTSIDE,
): Promise<Admission> {
  const at: { door: Admission | null } = { door: null };
  const goAway = () => {
    if (at.door !== null && at.door.knock !== "") void outside.withdraw(room, at.door).catch(() => undefined);
  };
  signal.addEventListener("abort", goAway);
  try {
    for (let attempt = 0; ; ) {
      try {
        if (at.door === null) {
          at.door = await ask(room, visitor, outside);
          // Gone while the answer was on its way.
          if (signal.aborted) goAway();
        }
        if (signal.aborted) throw new ApiError("withdrawn", "");
        if (at.door.knock === "") return at.door;
        onWaiting();
        const answer: Answer = await outside.fetchAnswer(room, at.door);
        if (answer.answer === "admitted") {
          keepAdmission(room, answer.admission);
          return answer.admission;
        }
        if (answer.answer === "denied") throw new ApiError("denied", "");
        attempt = 0;
      } catch (error) {
        if (signal.aborted) throw new ApiError("withdrawn", "");
        const isFirst = at.door === null && attempt === 0;
        if (isFirst || !(error instanceof ApiError) || !(await mayGoOn(error, attempt++, outside))) throw error;
        // The server has forgotten the knock, for example because it was started anew.
        if (error.code === "knock_not_found" || error.code === "unauthorized") at.door = null;
      }
    }
  } finally {
    signal.removeEventListener("abort", goAway);
  }
}

async function ask(room: string, visitor: Visitor, outside: typeof OUTSIDE): Promise<Admission> {
  try {
    const admission = await outside.fetchToken(room, visitor);
    // It has been used: a second time it would be over.
    if (visitor.invitation !== "") keepInvitation(room, null);
    visitor.invitation = "";
    return admission;
  } catch (error) {
    if (error instanceof ApiError && error.code === "invitation_over") keepInvitation(room, null);
    throw error;
  }
}

/** Whether to try again, after a pause where the server needs one. */
async function mayGoOn(error: ApiError, attempt: number, outside: typeof OUTSIDE): Promise<boolean> {
  if (error.code === "knock_not_found" || error.code === "unauthorized") return attempt < 5;
  if (!PASSING.has(error.code)) return false;
  await outside.pause(pauseMs(attempt));
  return true;
}
