/** What people say, as text: the lines that are shown now. */

/** Text streams of transcriptions, and their attributes (LiveKit's agents, `livekit.agents.types`). */
export const TRANSCRIPTION = {
  topic: "lk.transcription",
  final: "lk.transcription_final",
  track: "lk.transcribed_track_id",
  segment: "lk.segment_id",
} as const;

export interface Caption {
  /** One stretch of speech; what comes again with the same id takes the place of what was there. */
  id: string;
  speaker: string;
  name: string;
  text: string;
  /** Whether it stays as it is. */
  final: boolean;
}

interface Line extends Caption {
  changedAtMs: number;
}

/** So many stretches of speech are on the screen at once, so much of each, and so long after their last change. */
const MAX_LINES = 3;
const MAX_CHARS = 240;
const SHOWN_MS = 7000;

/** The end of a long text from the beginning of a word on. */
function endOf(text: string): string {
  const clean = text.replace(/\s+/gu, " ").trim();
  if (clean.length <= MAX_CHARS) return clean;
  const end = clean.slice(-MAX_CHARS);
  return `…${end.slice(end.indexOf(" ") + 1)}`;
}

/** Times are monotonic milliseconds. `lines` is a new list when something has changed. */
export class Captions {
  lines: readonly Line[] = [];

  put(caption: Caption, nowMs: number): void {
    const text = endOf(caption.text);
    const old = this.lines.find((line) => line.id === caption.id && line.speaker === caption.speaker);
    // What comes late from before the end of a stretch changes nothing any more.
    if (text === "" || (old?.final === true && !caption.final)) return;
    const line = { ...caption, text, changedAtMs: nowMs };
    const next = old === undefined ? [...this.lines, line] : this.lines.map((one) => (one === old ? line : one));
    this.lines = next.slice(-MAX_LINES);
  }

  /** Takes away what has been there long enough; the milliseconds until there is more to take, null for nothing. */
  expire(nowMs: number): number | null {
    const kept = this.lines.filter((line) => nowMs - line.changedAtMs < SHOWN_MS);
    if (kept.length < this.lines.length) this.lines = kept;
    return kept.length === 0 ? null : Math.min(...kept.map((line) => line.changedAtMs + SHOWN_MS - nowMs));
  }
}
