/** Room names: making one, reading one from what a person typed or pasted, and its link. */

// Without characters that look or sound alike: read aloud, a name must survive.
const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";
const GROUPS = 3;
const GROUP_LENGTH = 4;
const MAX_LENGTH = 64;
const ROOM_NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,63}$/u;

/** Twelve random characters in three groups: 59 bits. */
export function newRoomName(fill: (bytes: Uint8Array<ArrayBuffer>) => void = (b) => crypto.getRandomValues(b)): string {
  const limit = 256 - (256 % ALPHABET.length);
  const characters: string[] = [];
  const bytes = new Uint8Array(32);
  while (characters.length < GROUPS * GROUP_LENGTH) {
    fill(bytes);
    for (const byte of bytes) {
      // Bytes above the last whole multiple would favour the first letters.
      if (byte < limit && characters.length < GROUPS * GROUP_LENGTH) {
        characters.push(ALPHABET.charAt(byte % ALPHABET.length));
      }
    }
  }
  const groups: string[] = [];
  for (let start = 0; start < characters.length; start += GROUP_LENGTH) {
    groups.push(characters.slice(start, start + GROUP_LENGTH).join(""));
  }
  return groups.join("-");
}

export function isRoomName(name: string): boolean {
  return ROOM_NAME.test(name);
}

/** What the rules for room names have against this one; null when it is fine. */
export function roomNameProblem(name: string): "characters" | "start" | "long" | null {
  if (isRoomName(name)) return null;
  if (/[^\p{L}\p{N}._-]/u.test(name)) return "characters";
  return /^[\p{L}\p{N}]/u.test(name) ? "long" : "start";
}

/** The nearest name that the rules allow, or null when nothing of it can stay. */
export function suggestRoomName(name: string): string | null {
  const better = name
    .normalize("NFC")
    .trim()
    .replace(/[^\p{L}\p{N}._-]+/gu, "-")
    .replace(/^[._-]+|[._-]+$/gu, "");
  const short = Array.from(better).slice(0, MAX_LENGTH).join("");
  return isRoomName(short) ? short : null;
}

export type RoomInput = { ok: true; room: string } | { ok: false; problem: "empty" | "invalid" | "foreign" };

/** Reads a room name or a link to a room of this server. Spaces become hyphens. */
export function parseRoomInput(text: string, origin: string): RoomInput {
  const trimmed = text.trim();
  if (trimmed === "") return { ok: false, problem: "empty" };
  const link = roomLinkParts(trimmed, origin);
  if (link !== null && link.origin !== origin) return { ok: false, problem: "foreign" };
  const room = (link?.room ?? trimmed.replace(/\s+/g, "-")).normalize("NFC");
  return isRoomName(room) ? { ok: true, room } : { ok: false, problem: "invalid" };
}

function roomLinkParts(text: string, origin: string): { origin: string; room: string } | null {
  if (!text.includes("/")) return null;
  const absolute = /^https?:\/\//i.test(text) ? text : text.startsWith("/") ? origin + text : `https://${text}`;
  let url: URL;
  try {
    url = new URL(absolute);
  } catch {
    return null;
  }
  const room = roomFromPath(url.pathname);
  if (room === null) return null;
  const page = new URL(origin);
  // A link copied without its scheme belongs to the server that it names.
  return { origin: url.host === page.host ? origin : url.origin, room };
}

/** The room of `/r/{room}`, or null for any other path. */
export function roomFromPath(path: string): string | null {
  const match = /^\/r\/([^/]+)\/?$/.exec(path);
  if (match?.[1] === undefined) return null;
  try {
    return decodeURIComponent(match[1]).normalize("NFC");
  } catch {
    return null;
  }
}

export function roomPath(room: string): string {
  return `/r/${encodeURIComponent(room)}`;
}
