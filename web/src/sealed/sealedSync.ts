/** The connection of a sealed room's log: entries are opened as they come, and sealed as they go. */

import { parseEntry } from "../log/entries";
import type { Pending } from "../log/outbox";
import { type Message, Sync, type SyncOptions } from "../log/sync";
import type { LogSeal } from "./logSeal";
import type { AskToJoin } from "./sealApi";

interface SealedSyncParts {
  seal: LogSeal;
  device: string;
  /** Of a device that is not in the group. */
  wish: () => Promise<AskToJoin | null>;
  /** What the log has no use for. */
  onNews: (message: Message) => void;
  onOnline: (online: boolean) => void;
}

export class SealedSync {
  private readonly sync: Sync;
  private readonly seal: LogSeal;
  /** What came before is with the log before what comes now. */
  private hearing: Promise<void> = Promise.resolve();
  private sending: Promise<void> = Promise.resolve();

  constructor(options: SyncOptions, { seal, device, wish, onNews, onOnline }: SealedSyncParts, make = (all: SyncOptions) => new Sync(all)) {
    this.seal = seal;
    this.sync = make({
      ...options,
      opening: async () => ({ device, join: await wish() }),
      onMessage: (message) => {
        if (message.type.startsWith("seal_")) onNews(message);
        else this.hearing = this.hearing.then(() => this.pass(message, options));
      },
      onOnline: (online) => {
        options.onOnline(online);
        onOnline(online);
      },
    });
  }

  private async pass(message: Message, { onMessage }: SyncOptions): Promise<void> {
    onMessage(await this.readable(message));
  }

  private async readable(message: Message): Promise<Message> {
    const entry = message.type === "entry" ? parseEntry(message) : null;
    if (entry === null) return message;
    const [opened] = await this.seal.open([entry]);
    return { ...message, body: opened?.body ?? null };
  }

  /** What cannot be sealed yet waits: it is written again when this device is in the group. */
  readonly write = (pending: Pending): boolean => {
    this.sending = this.sending.then(async () => {
      const body = await this.seal.seal(pending);
      if (body !== null) this.sync.write({ ...pending, body });
    });
    return true;
  };

  readonly start = (): void => {
    this.sync.start();
  };

  readonly close = (): void => {
    this.sync.close();
  };

  readonly tryNow = (): void => {
    this.sync.tryNow();
  };

  readonly read = (seq: number): void => {
    this.sync.read(seq);
  };

  readonly typing = (on: boolean): void => {
    this.sync.typing(on);
  };

  /** To the other devices. */
  readonly tell = (message: Message): void => {
    this.sync.tell(message);
  };

  /** A sealed room has its history from the group. */
  readonly askHistory = (): void => undefined;

  readonly handHistory = (): void => undefined;
}
