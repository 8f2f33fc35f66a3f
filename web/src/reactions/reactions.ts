/** Pictures over the call: what people of one call react with, for a few seconds each. Nothing of it is kept. */

import type { RemoteParticipant, Room } from "livekit-client";
import { asRecord } from "../lib/api";
import { displayName } from "../lib/people";
import { type Channel, openChannel } from "../live/channel";
import type { LiveSeal } from "../sealed/liveSeal";

/** What one can react with, by the name of its words. Anything else that somebody sends is not shown. */
export const EMOJIS = {
  thumbsUp: "👍",
  clap: "👏",
  heart: "❤️",
  laugh: "😂",
  party: "🎉",
  wow: "😮",
  think: "🤔",
  thumbsDown: "👎",
} as const;
export type EmojiName = keyof typeof EMOJIS;
export const EMOJI_NAMES = Object.keys(EMOJIS) as EmojiName[];

/**
 * So many of one person at once, and then one in so many milliseconds: no more are sent, and no more are shown of somebody
 * who sends more. The network may bring together what was sent apart, so that whoever hears grants twice as many at once.
 */
export const RATE = { atOnce: 6, everyMs: 400 } as const;
/** So long after the last of its kind, and so many kinds of all people together. */
export const SHOWN_MS = 5000;
export const MAX_SHOWN = 12;

const TOPIC = "ting.react";

export interface Reaction {
  /** Other than that of every other one of this call. */
  key: number;
  identity: string;
  name: string;
  local: boolean;
  emoji: EmojiName;
  /** How often, while it was shown. */
  count: number;
  untilMs: number;
}

interface Bucket {
  held: number;
  atMs: number;
}

export class Reactions {
  /** Oldest first; another list when something has changed. */
  shown: readonly Reaction[] = [];
  private readonly buckets = new Map<string, Bucket>();
  private readonly listeners = new Set<() => void>();
  private channel: Channel | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private nextKey = 1;

  constructor(
    private readonly room: Room,
    private readonly seal: LiveSeal | null,
  ) {}

  /** Hears the others from here on; the function ends that. */
  open(): () => void {
    const channel = openChannel(this.room, TOPIC, this.seal, this.hear);
    this.channel = channel;
    return () => {
      channel.close();
      clearTimeout(this.timer);
      this.channel = null;
      this.buckets.clear();
      this.set([]);
    };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  readonly snapshot = (): readonly Reaction[] => this.shown;

  /** What somebody reacted with last, while it is shown. */
  newestOf(identity: string): EmojiName | null {
    return this.shown.findLast((one) => one.identity === identity)?.emoji ?? null;
  }

  /** One's own, to everybody. False: too many in too short a time. */
  send(emoji: EmojiName): boolean {
    const me = this.room.localParticipant;
    if (this.channel === null || !this.take(me.identity, RATE.atOnce)) return false;
    void this.channel.send({ emoji });
    this.show(me, emoji, true);
    return true;
  }

  private readonly hear = (from: RemoteParticipant, message: unknown): void => {
    const { emoji } = asRecord(message);
    const known = EMOJI_NAMES.find((name) => name === emoji);
    if (known !== undefined && this.take(from.identity, 2 * RATE.atOnce)) this.show(from, known, false);
  };

  private take(identity: string, atOnce: number): boolean {
    const nowMs = performance.now();
    const { held, atMs } = this.buckets.get(identity) ?? { held: atOnce, atMs: nowMs };
    const has = Math.min(atOnce, held + (nowMs - atMs) / RATE.everyMs);
    this.buckets.set(identity, { held: has < 1 ? has : has - 1, atMs: nowMs });
    return has >= 1;
  }

  private show(from: { identity: string; name?: string }, emoji: EmojiName, local: boolean): void {
    const { identity } = from;
    const untilMs = performance.now() + SHOWN_MS;
    const old = this.shown.find((one) => one.identity === identity && one.emoji === emoji);
    if (old !== undefined) {
      this.set(this.shown.map((one) => (one === old ? { ...old, count: old.count + 1, untilMs } : one)));
      return;
    }
    const reaction = { key: this.nextKey++, identity, name: displayName(from), local, emoji, count: 1, untilMs };
    this.set([...this.shown, reaction].slice(-MAX_SHOWN));
  }

  private set(shown: readonly Reaction[]): void {
    this.shown = shown;
    clearTimeout(this.timer);
    if (shown.length > 0) this.timer = setTimeout(this.expire, Math.min(...shown.map(({ untilMs }) => untilMs)) - performance.now());
    for (const listener of this.listeners) listener();
  }

  private readonly expire = (): void => {
    const nowMs = performance.now();
    this.set(this.shown.filter(({ untilMs }) => untilMs > nowMs));
  };
}
