/** What pages say to each other about drawings. Nothing that others send is believed before it was looked over here. */

import { asRecord, text } from "../lib/api";
import { type Line, MAX_NUMBERS, type Rules, SCALE, type Stroke } from "./sheet";

export type Earlier = Pick<Stroke, "id" | "by" | "points" | "stays">;

/** `share` is the sid of the shared track. */
export type Message =
  | ({ type: "rules"; share: string } & Rules)
  | { type: "ask"; share: string }
  | { type: "clear"; share: string }
  | ({ type: "line"; share: string; presenter: string } & Line)
  | { type: "earlier"; share: string; strokes: readonly Earlier[] };

const MAX_ID_LENGTH = 512;
const MAX_EARLIER = 50;
/** A packet of the data channel has 15,000 bytes at most, and a sealed one is longer than what is in it. */
export const MAX_MESSAGE_BYTES = 13_000;

const isId = (id: string): boolean => id !== "" && id.length <= MAX_ID_LENGTH;

/** Null for what are no points of a picture. */
function toPoints(value: unknown): number[] | null {
  if (!Array.isArray(value) || value.length % 2 !== 0 || value.length > MAX_NUMBERS) return null;
  const isPlace = (one: unknown): one is number => Number.isInteger(one) && (one as number) >= 0 && (one as number) <= SCALE;
  return value.every(isPlace) ? value : null;
}

function toEarlier(value: unknown): Earlier | null {
  const raw = asRecord(value);
  const [id, by, points] = [text(raw.id), text(raw.by), toPoints(raw.points)];
  return points === null || points.length === 0 || !isId(id) || !isId(by) ? null : { id, by, points, stays: raw.stays === true };
}

/** Null for what is no message of ours. */
export function parseMessage(value: unknown): Message | null {
  const raw = asRecord(value);
  const share = text(raw.share);
  if (!isId(share)) return null;
  switch (raw.type) {
    case "rules":
      return { type: "rules", share, everyone: raw.everyone === true, stays: raw.stays === true };
    case "ask":
    case "clear":
      return { type: raw.type, share };
    case "line": {
      const [id, presenter, points, at] = [text(raw.id), text(raw.presenter), toPoints(raw.points), raw.at];
      if (points === null || !isId(id) || !isId(presenter) || !Number.isInteger(at) || (at as number) < 0) return null;
      return { type: "line", share, presenter, id, at: at as number, points, end: raw.end === true };
    }
    case "earlier": {
      const strokes = Array.isArray(raw.strokes) && raw.strokes.length <= MAX_EARLIER ? raw.strokes.map(toEarlier) : [];
      return { type: "earlier", share, strokes: strokes.filter((one) => one !== null) };
    }
    default:
      return null;
  }
}

/** In messages that each fit into a packet, oldest first. */
export function earlierMessages(share: string, strokes: readonly Stroke[]): Message[] {
  const messages: Message[] = [];
  let part: Earlier[] = [];
  let bytes = 0;
  for (const { id, by, points, stays } of strokes) {
    const stroke = { id, by, points, stays };
    const size = new TextEncoder().encode(JSON.stringify(stroke)).length + 1;
    if (part.length > 0 && (bytes + size > MAX_MESSAGE_BYTES - 500 || part.length === MAX_EARLIER)) {
      messages.push({ type: "earlier", share, strokes: part });
      [part, bytes] = [[], 0];
    }
    part.push(stroke);
    bytes += size;
  }
  return part.length === 0 ? messages : [...messages, { type: "earlier", share, strokes: part }];
}
