/** Who is writing now. Whoever does not say so again within some seconds has stopped. */

import type { Typist } from "./roomState";

const TYPING_MS = 6000;

export class Typists {
  private typing: readonly Typist[] = [];
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(private readonly tell: (typing: readonly Typist[]) => void) {}

  set(member: string, name: string, on: boolean): void {
    if (!on && !this.timers.has(member)) return;
    clearTimeout(this.timers.get(member));
    this.timers.delete(member);
    const others = this.typing.filter((one) => one.member !== member);
    this.typing = on ? [...others, { member, name }] : others;
    if (on) {
      const stop = () => {
        this.set(member, "", false);
      };
      this.timers.set(member, setTimeout(stop, TYPING_MS));
    }
    this.tell(this.typing);
  }

  clear(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }
}
