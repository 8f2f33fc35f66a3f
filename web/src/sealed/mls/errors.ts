/** What can go wrong with a group, in the words that the app acts on. */

export const mlsFailures = [
  /** The message belongs to an epoch that is over: drop it. */
  "stale_epoch",
  /** The message belongs to an epoch that this device has not reached: fetch the commits that are missing. */
  "future_epoch",
  /** No such group here, or the message is for another one. */
  "unknown_group",
  /** This device was removed from the group. */
  "not_member",
  /** The message, key or state is not valid. */
  "bad_message",
  /** A newcomer's commit does not carry the secret of the link, or this device does not know that secret. */
  "no_link",
  /** A fault of this program. */
  "bad_call",
] as const;

export type MlsFailure = (typeof mlsFailures)[number];

export class MlsError extends Error {
  override readonly name = "MlsError";

  constructor(
    readonly failure: MlsFailure,
    message: string,
  ) {
    super(message);
  }
}
