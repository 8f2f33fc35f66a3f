/** Why a file was not sent or fetched: each has its sentence in every language. */

import { ApiError, toApiError } from "../lib/api";

export const FILE_PROBLEMS = [
  "file_too_large",
  "quota_exceeded",
  "storage_full",
  "file_refused",
  "file_not_found",
  "seal_broken",
  "other_file",
  "forbidden",
  "rate_limited",
  "unavailable",
  "unreachable",
  "unknown",
] as const;
export type FileProblem = (typeof FILE_PROBLEMS)[number];

export const ARCHIVE_PROBLEMS = [
  "invalid_archive",
  "body_too_large",
  "storage_full",
  "forbidden",
  "rate_limited",
  "unavailable",
  "unreachable",
  "unknown",
] as const;
export type ArchiveProblem = (typeof ARCHIVE_PROBLEMS)[number];

/** What may be over when one tries again. */
const PASSING: ReadonlySet<string> = new Set(["rate_limited", "unavailable", "unreachable", "internal", "request_timeout", "upload_conflict"]);
/** With so many new tokens that open nothing, another one would not either. */
const MAX_NEW_TOKENS = 2;

/** The part of the errors of tus-js-client that is used. */
interface TusError {
  originalResponse?: { getStatus: () => number; getBody: () => string } | null;
  originalRequest?: unknown;
  causingError?: unknown;
}

/** The server's code for an error of tus-js-client. */
export function codeOf(error: unknown): string {
  if (error instanceof ApiError) return error.code;
  const { originalResponse, originalRequest, causingError } = error as TusError;
  if (originalResponse) return toApiError(originalResponse.getStatus(), parsed(originalResponse.getBody())).code;
  if (causingError instanceof ApiError) return causingError.code;
  return originalRequest === undefined ? "unknown" : "unreachable";
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

/** `attempt` is 0 for the first time that something fails since bytes have arrived. */
export function isWorthTrying(code: string, attempt: number): boolean {
  return PASSING.has(code) || (code === "unauthorized" && attempt < MAX_NEW_TOKENS);
}

export function fileProblem(error: unknown): FileProblem {
  const code = codeOf(error);
  return FILE_PROBLEMS.find((problem) => problem === code) ?? (PASSING.has(code) ? "unavailable" : "unknown");
}
