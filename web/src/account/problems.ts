/** Why something with an account was refused: each has its sentence in every language. */

import { ApiError } from "../lib/api";
import { PasskeyDeclined } from "./passkeys";

export const ACCOUNT_PROBLEMS = [
  "sign_in_failed",
  "sign_in_expired",
  "registration_closed",
  "invitation_over",
  "invalid_name",
  "invalid_password",
  "name_taken",
  "limit_reached",
  "last_admin",
  "last_sign_in",
  "taken",
  "not_found",
  "room_not_found",
  "forbidden",
  "unauthorized",
  "step_up_needed",
  "rate_limited",
  "unavailable",
  "unreachable",
  "passkey_declined",
  "unknown",
] as const;
export type AccountProblem = (typeof ACCOUNT_PROBLEMS)[number];

export function accountProblem(error: unknown): AccountProblem {
  if (error instanceof PasskeyDeclined) return "passkey_declined";
  const code = error instanceof ApiError ? error.code : "unknown";
  return ACCOUNT_PROBLEMS.find((problem) => problem === code) ?? "unknown";
}
