/** Why one did not come into a room: each has its sentence in every language. */

import { ApiError } from "./api";

export const JOIN_PROBLEMS = [
  "invalid_room_name",
  "invalid_name",
  "guests_disabled",
  "room_full",
  "room_locked",
  "room_not_found",
  "members_only",
  "password_needed",
  "wrong_password",
  "invitation_over",
  "denied",
  "kicked",
  "banned",
  "limit_reached",
  "rate_limited",
  "unavailable",
  "unreachable",
  "not_allowed",
  "media_blocked",
  "sealed_link",
  "sealed_browser",
  "sealed_room",
  "unknown",
] as const;
export type JoinProblem = (typeof JOIN_PROBLEMS)[number];

export function problemOfCode(code: string): JoinProblem {
  return JOIN_PROBLEMS.find((problem) => problem === code) ?? "unknown";
}

export function apiProblem(error: unknown): JoinProblem {
  return error instanceof ApiError ? problemOfCode(error.code) : "unknown";
}
