/** Chat messages of one call, kept in this tab only. */

export interface ChatMessage {
  id: string;
  identity: string;
  name: string;
  text: string;
  /** When it arrived here; a sender's clock is not believed. */
  atMs: number;
  own: boolean;
}

export const MAX_MESSAGE_LENGTH = 4000;
export const MAX_MESSAGES = 1000;

// C0 and C1 control characters other than tab and line feed, and the bidi overrides that can disguise text.
// eslint-disable-next-line no-control-regex
const UNWANTED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** A message as it may be shown or sent: well-formed, trimmed, bounded; "" when nothing is left. */
export function cleanMessage(raw: string): string {
  const text = raw.replace(/\r\n?/g, "\n").replace(UNWANTED, "").slice(0, MAX_MESSAGE_LENGTH);
  // Half a surrogate pair cannot be encoded; the cut above may leave one.
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "").trim();
}

/** `messages` and one more: the oldest go when there are too many, and a repeated id of one sender is ignored. */
export function appendMessage(messages: readonly ChatMessage[], message: ChatMessage): readonly ChatMessage[] {
  const known = messages.some((other) => other.id === message.id && other.identity === message.identity);
  return known ? messages : [...messages, message].slice(-MAX_MESSAGES);
}

const GROUP_MS = 3 * 60_000;

/** Whether a message continues the one before it: same person, shortly after. */
export function continues(message: ChatMessage, before: ChatMessage | undefined): boolean {
  return before?.identity === message.identity && message.atMs - before.atMs < GROUP_MS;
}
