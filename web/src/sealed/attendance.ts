/** Who of a room's group is there, who is not any more, and who wants to be in it. */

import type { Leaf, View } from "./engine";
import type { Present } from "./sealApi";

export class Attendance {
  /** Devices that wait to be added. */
  private readonly wishes = new Set<string>();
  private present: readonly Present[] = [];
  /** Leaves that do not belong into the group, by signature key, and since when. */
  private readonly absent = new Map<string, number>();
  /** By device: the signature key that it came with. */
  private readonly keys = new Map<string, string>();
  private quietUntilMs = 0;

  constructor(
    /** One's own. */
    private readonly device: string,
    /** Away for so long is gone. */
    private readonly absentMs: number,
  ) {}

  /** Whether anybody else is there. */
  get hasOthers(): boolean {
    return this.present.some(({ device }) => device !== this.device);
  }

  get hasWishes(): boolean {
    return this.wishes.size > 0;
  }

  isWished(device: string): boolean {
    return this.wishes.has(device);
  }

  /** How the server says that somebody here is called. */
  nameOf(device: string): string | null {
    return this.present.find((one) => one.device === device)?.name ?? null;
  }

  /** After a lost connection nobody is missed until then: they have it to come back. */
  missNobodyUntil(atMs: number): void {
    this.quietUntilMs = atMs;
  }

  wish(devices: readonly string[]): void {
    for (const device of devices) if (device !== this.device) this.wishes.add(device);
  }

  /** Those that waited and are not in this list do so no more. */
  keepWishes(devices: readonly string[]): void {
    this.drop([...this.wishes].filter((device) => !devices.includes(device)));
  }

  drop(devices: Iterable<string>): void {
    for (const device of devices) this.wishes.delete(device);
  }

  set(present: readonly Present[]): void {
    this.present = present;
    const devices = new Set(present.map(({ device }) => device));
    this.drop([...this.wishes].filter((device) => !devices.has(device)));
  }

  change(came: readonly Present[], left: readonly Present[]): void {
    const gone = new Set(left.map(({ device }) => device));
    this.set([...this.present.filter(({ device }) => !gone.has(device)), ...came]);
  }

  /** How many of the group's devices have their turn before this one. */
  ahead({ members, own }: View): number {
    const devices = new Set(this.present.map(({ device }) => device));
    return members.filter(({ index, device }) => index < own && devices.has(device) && !this.wishes.has(device)).length;
  }

  /** When the first of those who do not belong there is to go; null: all do. */
  goneAtMs({ members, own }: View, nowMs: number): number | null {
    const others = members.filter(({ index }) => index !== own);
    const wrong = new Map(others.filter((leaf) => this.isAway(leaf) || this.isFalse(leaf, members)).map((leaf) => [leaf.signatureKey, leaf]));
    for (const key of this.absent.keys()) if (!wrong.has(key)) this.absent.delete(key);
    for (const [key, leaf] of wrong) {
      // Who is away may come back at once; who is not who it says is to go now.
      const sinceMs = this.isFalse(leaf, members) ? -Infinity : nowMs;
      this.absent.set(key, Math.min(this.absent.get(key) ?? sinceMs, sinceMs));
    }
    for (const { device, signatureKey } of members) if (!this.keys.has(device)) this.keys.set(device, signatureKey);
    if (wrong.size === 0) return null;
    const firstMs = Math.min(...this.absent.values());
    return firstMs === -Infinity ? nowMs : Math.max(firstMs + this.absentMs, this.quietUntilMs);
  }

  private isAway({ device }: Leaf): boolean {
    return !this.present.some((one) => one.device === device);
  }

  /** The server, and what was before, say otherwise who has this device. */
  private isFalse({ device, member, signatureKey }: Leaf, members: readonly Leaf[]): boolean {
    const there = this.present.find((one) => one.device === device);
    const first = this.keys.get(device) ?? signatureKey;
    const isCopy = first !== signatureKey && members.some((leaf) => leaf.signatureKey === first);
    return (there !== undefined && there.member !== member) || isCopy;
  }

  isGone({ signatureKey }: Leaf, nowMs: number): boolean {
    const sinceMs = this.absent.get(signatureKey) ?? nowMs;
    return sinceMs === -Infinity || (nowMs >= this.quietUntilMs && nowMs - sinceMs >= this.absentMs);
  }
}
