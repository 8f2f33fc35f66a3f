/** Tabs of one browser tell each other who is in a room, so that one person does not become two that hear each other. */

import type { VisitState } from "./visit";

/** What a tab gives away with the call: who one is there, and how one was. */
export interface Handover {
  token: string | null;
  visit: VisitState;
}

type Message =
  | { kind: "ask" | "here" | "gone" }
  | { kind: "move"; to: string }
  | { kind: "moved"; to: string; handover: Handover };

/** The part of BroadcastChannel that is used; structured clones arrive at every other tab of the origin. */
export interface Channel {
  postMessage: (message: Message) => void;
  onmessage: ((event: { data: Message }) => void) | null;
  close: () => void;
}

/** Another tab answers within milliseconds unless it is frozen; then nobody waits for it. */
const ANSWER_MS = 1500;

export class RoomTabs {
  /** Whether another tab is in this room. */
  elsewhere = false;
  private readonly listeners = new Set<() => void>();
  private readonly id = Math.random().toString(36).slice(2);
  private channel: Channel | null = null;
  private giveUp: (() => Handover) | null = null;
  private received: (handover: Handover) => void = () => undefined;

  constructor(
    private readonly room: string,
    private readonly connect: (name: string) => Channel = (name) => new BroadcastChannel(name) as unknown as Channel,
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): boolean => this.elsewhere;

  open(): void {
    this.channel = this.connect(`ting.room.${this.room}`);
    this.channel.onmessage = ({ data }) => {
      this.hear(data);
    };
    this.channel.postMessage({ kind: "ask" });
  }

  close(): void {
    this.leave();
    this.channel?.close();
    this.channel = null;
  }

  /** This tab is in the call. `giveUp` ends it here when another tab takes it over. */
  enter(giveUp: () => Handover): void {
    this.giveUp = giveUp;
    this.channel?.postMessage({ kind: "here" });
  }

  leave(): void {
    if (this.giveUp === null) return;
    this.giveUp = null;
    this.channel?.postMessage({ kind: "gone" });
    // There may be a third tab.
    this.channel?.postMessage({ kind: "ask" });
  }

  /** Ends the call in the other tab and gets what it was there; null when no tab answers. */
  takeOver(): Promise<Handover | null> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        resolve(null);
      }, ANSWER_MS);
      this.received = (handover) => {
        clearTimeout(timer);
        resolve(handover);
      };
      this.channel?.postMessage({ kind: "move", to: this.id });
    });
  }

  private hear(message: Message): void {
    switch (message.kind) {
      case "ask":
        if (this.giveUp !== null) this.channel?.postMessage({ kind: "here" });
        return;
      case "here":
        this.setElsewhere(true);
        return;
      case "gone":
        this.setElsewhere(false);
        return;
      case "move":
        if (this.giveUp !== null) this.channel?.postMessage({ kind: "moved", to: message.to, handover: this.giveUp() });
        return;
      case "moved":
        if (message.to === this.id) this.received(message.handover);
    }
  }

  private setElsewhere(elsewhere: boolean): void {
    if (this.elsewhere === elsewhere) return;
    this.elsewhere = elsewhere;
    for (const listener of this.listeners) listener();
  }
}
