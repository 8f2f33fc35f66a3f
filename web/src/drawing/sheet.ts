/**
 * What is drawn on one shared screen. Its presenter says who may draw and whether it stays; what comes from others, or
 * in larger numbers than a hand makes, is left out by everybody who receives it.
 */

export interface Rules {
  /** Whether anybody in the call may draw, or the presenter alone. */
  everyone: boolean;
  /** Whether strokes stay, or fade. */
  stays: boolean;
}

export interface Stroke {
  /** Of the page that drew it; unique together with `by`. */
  id: string;
  /** The identity of a participant. */
  by: string;
  /** x and y in turns, from the upper left corner of the picture, in ten thousandths of its width and height. */
  points: readonly number[];
  done: boolean;
  stays: boolean;
  changedAtMs: number;
}

/** One part of a stroke. */
export interface Line {
  id: string;
  /** How many numbers came before. */
  at: number;
  points: readonly number[];
  end: boolean;
}

export const SCALE = 10_000;
/** After so long a stroke that does not stay is gone. */
export const FADE_MS = 5000;
/** A stroke of which nothing more comes is at its end. */
const STALLED_MS = 10_000;
/** Of one stroke, in numbers (two for a point); a longer one goes on as another. */
export const MAX_NUMBERS = 1000;
/** On one screen; the oldest go. */
export const MAX_STROKES = 500;
/** What one person draws: strokes and numbers, in a second and at once. */
const STROKES = { perS: 8, burst: 24 };
const NUMBERS = { perS: 1200, burst: 4000 };

class Allowance {
  private left: number;
  private atMs = -Infinity;

  constructor(private readonly rate: { perS: number; burst: number }) {
    this.left = rate.burst;
  }

  take(count: number, nowMs: number): boolean {
    const earned = (Math.max(0, nowMs - this.atMs) / 1000) * this.rate.perS;
    this.left = Math.min(this.rate.burst, this.left + earned);
    this.atMs = nowMs;
    if (this.left < count) return false;
    this.left -= count;
    return true;
  }
}

interface Person {
  strokes: Allowance;
  numbers: Allowance;
}

/** Times are monotonic milliseconds. `strokes` is a new list when something has changed. */
export class Sheet {
  /** Null: the presenter has not told them yet. */
  rules: Rules | null = null;
  strokes: readonly Stroke[] = [];
  private readonly people = new Map<string, Person>();

  /** `presenter` is an identity, `share` the sid of the shared track: another share is another sheet. */
  constructor(
    readonly presenter: string,
    readonly share: string,
  ) {}

  mayDraw(identity: string): boolean {
    return identity === this.presenter || this.rules?.everyone === true;
  }

  setRules(rules: Rules, nowMs: number): void {
    this.rules = rules;
    // Whoever may no longer draw has lifted the pen.
    this.replace((stroke) => (stroke.done || this.mayDraw(stroke.by) ? stroke : { ...stroke, done: true, changedAtMs: nowMs }));
  }

  clear(): void {
    this.strokes = [];
  }

  /** The stroke as it is now; null: it was left out. */
  add(by: string, { id, at, points, end }: Line, nowMs: number): Stroke | null {
    if (!this.mayDraw(by) || !this.isWithinLimits(by, at === 0 ? 1 : 0, points.length, nowMs)) return null;
    const old = this.strokes.find((stroke) => stroke.id === id && stroke.by === by);
    if (old === undefined ? at !== 0 : old.done || at !== old.points.length) return null;
    const before = old?.points ?? [];
    if (before.length + points.length > MAX_NUMBERS) return null;
    const stays = old?.stays ?? this.rules?.stays ?? false;
    const stroke = { id, by, points: [...before, ...points], done: end, stays, changedAtMs: nowMs };
    if (old === undefined) this.strokes = [...this.strokes, stroke].slice(-MAX_STROKES);
    else this.replace((one) => (one === old ? stroke : one));
    return stroke;
  }

  /** What the presenter tells somebody who came later. */
  addEarlier(strokes: readonly Pick<Stroke, "id" | "by" | "points" | "stays">[], nowMs: number): void {
    const known = new Set(this.strokes.map(({ id, by }) => `${by} ${id}`));
    const fresh = strokes.filter(({ id, by }) => !known.has(`${by} ${id}`));
    this.strokes = [...fresh.map((stroke) => ({ ...stroke, done: true, changedAtMs: nowMs })), ...this.strokes].slice(-MAX_STROKES);
  }

  /** They have left the call. */
  lift(identity: string, nowMs: number): void {
    this.people.delete(identity);
    this.replace((stroke) => (stroke.by === identity && !stroke.done ? { ...stroke, done: true, changedAtMs: nowMs } : stroke));
  }

  /** Takes away what has faded; the milliseconds until there is more to do, null for nothing. */
  expire(nowMs: number): number | null {
    this.replace((stroke) => (!stroke.done && nowMs - stroke.changedAtMs >= STALLED_MS ? { ...stroke, done: true, changedAtMs: nowMs } : stroke));
    const kept = this.strokes.filter(({ done, stays, changedAtMs }) => !done || stays || nowMs - changedAtMs < FADE_MS);
    if (kept.length < this.strokes.length) this.strokes = kept;
    const ends = kept.filter(({ done, stays }) => !done || !stays).map(({ done, changedAtMs }) => changedAtMs + (done ? FADE_MS : STALLED_MS));
    return ends.length === 0 ? null : Math.max(0, Math.min(...ends) - nowMs);
  }

  private replace(change: (stroke: Stroke) => Stroke): void {
    const next = this.strokes.map(change);
    if (next.some((stroke, place) => stroke !== this.strokes[place])) this.strokes = next;
  }

  private isWithinLimits(by: string, strokes: number, numbers: number, nowMs: number): boolean {
    let person = this.people.get(by);
    if (person === undefined) {
      person = { strokes: new Allowance(STROKES), numbers: new Allowance(NUMBERS) };
      this.people.set(by, person);
    }
    return person.strokes.take(strokes, nowMs) && person.numbers.take(numbers, nowMs);
  }
}
