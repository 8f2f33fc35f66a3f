/** Chat text cut into plain text and web links. Only http and https become links. */

export type TextPart = { kind: "text"; text: string } | { kind: "link"; text: string; href: string };

const CANDIDATE = /https?:\/\/[^\s<>"'`\u3000-\u303f\uff00-\uffef]+/gi;
const TRAILING = /[.,;:!?)\]}]+$/;

export function splitLinks(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const match of text.matchAll(CANDIDATE)) {
    const candidate = trimLink(match[0]);
    const href = safeHref(candidate);
    if (href === null) continue;
    if (match.index > end) parts.push({ kind: "text", text: text.slice(end, match.index) });
    parts.push({ kind: "link", text: candidate, href });
    end = match.index + candidate.length;
  }
  if (end < text.length) parts.push({ kind: "text", text: text.slice(end) });
  return parts;
}

// A full stop or bracket after a link belongs to the sentence, unless the link opened that bracket.
function trimLink(candidate: string): string {
  const trimmed = candidate.replace(TRAILING, "");
  const rest = candidate.slice(trimmed.length);
  return rest.startsWith(")") && trimmed.includes("(") ? `${trimmed})` : trimmed;
}

/** The address as it may be opened; null for anything but a plain http(s) address. */
export function safeHref(candidate: string): string | null {
  try {
    const url = new URL(candidate);
    const named = url.username !== "" || url.password !== "";
    // `https://bank.example@evil.example` shows one host and opens another.
    return (url.protocol === "http:" || url.protocol === "https:") && !named ? url.href : null;
  } catch {
    return null;
  }
}
