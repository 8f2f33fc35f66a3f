/** Fewer than 15 pictures a second look like a bad line. */
const SLOW_MS = 1000 / 15;
const WINDOW_MS = 5000;
/** The first ones wait for programs to be compiled. */
const WARM_UP = 2;
const LEAST = 3;

/** Tells when the work on pictures takes so long that they get lost: over five seconds, the middle one of them. */
export class SlowWatch {
  private readonly seen: { atMs: number; tookMs: number }[] = [];
  private count = 0;

  /** A picture took so long; `nowMs` is monotonic. */
  feed(tookMs: number, nowMs: number): boolean {
    this.count += 1;
    if (this.count <= WARM_UP) return false;
    this.seen.push({ atMs: nowMs, tookMs });
    const since = nowMs - (this.seen[0]?.atMs ?? nowMs);
    if (since < WINDOW_MS || this.seen.length < LEAST) return false;
    const sorted = this.seen.map((one) => one.tookMs).sort((a, b) => a - b);
    while (nowMs - (this.seen[0]?.atMs ?? nowMs) > WINDOW_MS) this.seen.shift();
    return (sorted[Math.floor(sorted.length / 2)] ?? 0) > SLOW_MS;
  }
}
