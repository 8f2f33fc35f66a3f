/** Who of a room's group is there, who is not any more, and who wants to be in it. */

import type { Leaf, View } from "./engine";
import type { Present } from "./sealApi";

export class Attendance {
  /** Devices that wait to be added. */
  private readonly wishes = new Set<string>();
  private present: readonly Present[] = [];
  /** Devices in the group that are not there, and since when. */
  private readonly absent = new Map<string, number>();
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

  /** When the first of those who are away is gone; null: nobody is away. */
  goneAtMs({ members }: View, nowMs: number): number | null {
    const devices = new Set(this.present.map(({ device }) => device));
    const away = new Set(members.map(({ device }) => device).filter((device) => !devices.has(device) && device !== this.device));
    for (const device of this.absent.keys()) if (!away.has(device)) this.absent.delete(device);
    for (const device of away) if (!this.absent.has(device)) this.absent.set(device, nowMs);
    if (away.size === 0) return null;
    return Math.max(Math.min(...this.absent.values()) + this.absentMs, this.quietUntilMs);
  }

  isGone({ device }: Leaf, nowMs: number): boolean {
    return nowMs >= this.quietUntilMs && nowMs - (this.absent.get(device) ?? nowMs) >= this.absentMs;
  }
}
