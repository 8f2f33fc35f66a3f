/** Notices tracks that arrive and cannot be opened, and when they can again. */

export type ProblemKind = "missing_key" | "cannot_decrypt";

/** What has come of one track so far. */
export interface Sample {
  track: string;
  identity: string;
  /** Packets that arrived. */
  received: number;
  /** Pictures or samples of sound that came out of the decoder. */
  played: number;
}

export interface Change {
  identity: string;
  healed: boolean;
}

/** Between two samples at least this many packets came: fewer are silence (Opus sends 2.5 a second), or padding. */
const MIN_PACKETS = 5;
/** So often in a row that packets came and nothing was played. */
const PATIENCE = 2;

interface Seen extends Sample {
  failures: number;
}

export class Watch {
  private seen = new Map<string, Seen>();
  private readonly failing = new Set<string>();

  /** All tracks that are received now. Tells whose cannot be opened from now on, or can be again. */
  take(samples: readonly Sample[]): Change[] {
    this.seen = new Map(samples.map((sample) => [sample.track, { ...sample, failures: this.failures(sample) }]));
    const bad = new Set([...this.seen.values()].filter((one) => one.failures >= PATIENCE).map((one) => one.identity));
    const changes: Change[] = [];
    for (const identity of bad) if (!this.failing.has(identity)) changes.push({ identity, healed: false });
    for (const identity of this.failing) if (!bad.has(identity)) changes.push({ identity, healed: true });
    this.failing.clear();
    for (const identity of bad) this.failing.add(identity);
    return changes;
  }

  private failures(now: Sample): number {
    const before = this.seen.get(now.track);
    if (before === undefined || now.played > before.played) return 0;
    return before.failures + (now.received - before.received >= MIN_PACKETS ? 1 : 0);
  }
}
