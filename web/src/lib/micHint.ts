/** What one should know of one's microphone: it hears speech that nobody else does, or it hears nothing at all. */
export type MicHint = "talking" | "silent" | null;

const SPEECH_DB = -40;
const SPEECH_MS = 300;
/** So much of it within this time is speech, and not a door or a keyboard. */
const SPEECH_WITHIN_MS = 1500;
const SHOWN_MS = 6000;
/** Below the noise of any microphone that works; what gives less is switched off at itself or by the system. */
const NOTHING_DB = -85;
const NOTHING_MS = 8000;

/** One microphone. Feed it the level now and then; times are monotonic milliseconds. */
export class MicWatch {
  private readonly loudAtMs: { atMs: number; forMs: number }[] = [];
  private fedAtMs: number | null = null;
  private openSinceMs: number | null = null;
  private talkingUntilMs = -Infinity;
  private works = false;

  feed(db: number, muted: boolean, nowMs: number): MicHint {
    const forMs = this.fedAtMs === null ? 0 : nowMs - this.fedAtMs;
    this.fedAtMs = nowMs;
    if (db > NOTHING_DB) this.works = true;
    return muted ? this.whileMuted(db, forMs, nowMs) : this.whileOpen(nowMs);
  }

  private whileMuted(db: number, forMs: number, nowMs: number): MicHint {
    this.openSinceMs = null;
    if (db > SPEECH_DB) this.loudAtMs.push({ atMs: nowMs, forMs });
    while (this.loudAtMs.length > 0 && nowMs - (this.loudAtMs[0]?.atMs ?? 0) > SPEECH_WITHIN_MS) this.loudAtMs.shift();
    const loudMs = this.loudAtMs.reduce((sum, one) => sum + one.forMs, 0);
    if (loudMs >= SPEECH_MS) this.talkingUntilMs = nowMs + SHOWN_MS;
    return nowMs < this.talkingUntilMs ? "talking" : null;
  }

  private whileOpen(nowMs: number): MicHint {
    this.loudAtMs.length = 0;
    this.talkingUntilMs = -Infinity;
    this.openSinceMs ??= nowMs;
    // One that gave sound once works: systems that take noise away give nothing while nobody speaks.
    return !this.works && nowMs - this.openSinceMs >= NOTHING_MS ? "silent" : null;
  }
}
