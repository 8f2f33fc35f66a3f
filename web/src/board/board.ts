/**
 * The whiteboard of a room: a Yjs document whose changes are entries of the room's log. Now and then somebody's page
 * writes all of it as one update, so that who comes later need not read what led to it.
 */

import { newClientId } from "../lib/keys";
import { type Entry, isLocked } from "../log/entries";
import type { Draft } from "../log/outbox";
import type { Page, Policy } from "../log/rest";
import type { RoomNews } from "../log/roomState";
import { type Element, Elements, merge } from "./elements";
import { Assembly, toPieces } from "./pieces";

export const TIMES = {
  /** What is drawn within this time is one entry; the server takes some in a second. */
  gatherMs: 400,
  /** Whoever asks for the board gets it once, from whoever is first. */
  answerMs: 1500,
};
const PAGE = 200;
const MAX_PAGES = 50;
/** After so many changes the whole board is written. */
const WHOLE_AFTER = 100;

interface BoardOptions {
  write: (draft: Draft) => void;
  listen: (news: Partial<RoomNews>) => () => void;
  /** Entries that could not be read when they came. */
  onReadable: (listener: (entries: readonly Entry[]) => void) => () => void;
  /** What was drawn: the newest entries, or those before a `seq`. */
  page: (before: number | null, limit: number) => Promise<Page>;
  policy: () => Policy;
}

export class Board {
  private readonly elements: Elements;
  private readonly listeners = new Set<() => void>();
  private readonly assembly = new Assembly();
  private waiting: Uint8Array[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private answering: ReturnType<typeof setTimeout> | undefined;
  /** Changes since the whole board was last written, and the newest entry of it that has come. */
  private changes = 0;
  private reached = 0;
  /** Entries that could not be opened. */
  private readonly locked = new Set<number>();
  /** Whether everything up to there is here: only then may this page write all of it for others. */
  private isWhole = false;
  private loading: Promise<void> | null = null;
  private readonly ends: (() => void)[];

  constructor(private readonly options: BoardOptions) {
    this.elements = new Elements({
      onUpdate: (update) => {
        this.waiting.push(update);
        this.timer ??= setTimeout(() => {
          this.flush();
        }, TIMES.gatherMs);
      },
      onShow: () => {
        for (const listener of this.listeners) listener();
      },
    });
    const onEntry = (entry: Entry) => {
      this.take(entry);
    };
    this.ends = [
      options.listen({
        onEntry,
        onMessage: ({ type }) => {
          // Too much was missed for it to come by itself.
          if (type === "reset" && this.loading !== null) {
            this.loading = null;
            // Who opens it next tries again.
            this.load().catch(() => undefined);
          }
        },
      }),
      options.onReadable((entries) => {
        entries.forEach(onEntry);
      }),
    ];
  }

  close(): void {
    for (const end of this.ends) end();
    clearTimeout(this.answering);
    this.flush();
  }

  /** Called when there is something else to show than what this page drew. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Everything that the log has of it. Rejects when it could not be read; then it is tried anew the next time. */
  load(): Promise<void> {
    this.loading ??= this.read().catch((error: unknown) => {
      this.loading = null;
      throw error;
    });
    return this.loading;
  }

  /** Whether others may have more of it than the log gives this page: then they are asked. */
  get lacks(): boolean {
    const { keeps, history } = this.options.policy();
    return keeps === "nothing" || !history || this.elements.lacks;
  }

  all(): Element[] {
    return this.elements.all();
  }

  put(elements: readonly Element[]): void {
    this.elements.put(elements);
  }

  wipe(): void {
    this.elements.wipe(() => Math.floor(Math.random() * 2 ** 31));
    this.flush();
  }

  /** Said to all, once it is opened. */
  tellOpened(): void {
    this.options.write({ verb: "board", body: { opened: true } });
  }

  /** Somebody lacks the board: whoever is first writes all of it. */
  handleAsked(): void {
    if (this.elements.all().length === 0 || !(this.isWhole || this.options.policy().keeps === "nothing")) return;
    clearTimeout(this.answering);
    this.answering = setTimeout(() => {
      this.writeWhole();
    }, TIMES.answerMs * Math.random());
  }

  private async read(): Promise<void> {
    this.isWhole = false;
    let before: number | null = null;
    let known = 0;
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const page: Page = await this.options.page(before, PAGE);
      for (const entry of [...page.entries].reverse()) known = Math.max(known, this.take(entry) ?? 0);
      const oldest = page.entries[0]?.seq ?? 0;
      if (!page.more || oldest <= known + 1) {
        this.isWhole = known > 0 || this.options.policy().history;
        return;
      }
      before = oldest;
    }
  }

  /** Up to where the log need not be read before this entry; null: it does not say. The order does not matter to Yjs. */
  private take(entry: Entry): number | null {
    const { verb, from, body, seq, clientId } = entry;
    if (verb !== "board" || body === null) return null;
    this.reached = Math.max(this.reached, seq);
    if (isLocked(body)) {
      this.locked.add(seq);
      return null;
    }
    this.locked.delete(seq);
    const update = body.update === undefined ? null : this.assembly.take(from, seq, body);
    if (update === null) return null;
    this.elements.apply(update.bytes);
    if (update.upto !== null) {
      clearTimeout(this.answering);
      this.changes = 0;
      // Who may not read what was before has it now.
      if (!this.options.policy().history) this.isWhole = true;
      return update.upto;
    }
    this.changes += 1;
    // Of those who draw, the one whose change it is: no two write it.
    if (this.changes >= WHOLE_AFTER && clientId !== "" && this.isWhole && seq > 0) this.writeWhole();
    return null;
  }

  private writeWhole(): void {
    this.changes = 0;
    this.flush();
    const oldest = Math.min(this.assembly.oldest, ...this.locked, this.reached + 1);
    this.write({ bytes: this.elements.encode(), upto: oldest - 1 });
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.waiting.length === 0) return;
    const bytes = merge(this.waiting);
    this.waiting = [];
    this.write({ bytes, upto: null });
  }

  private write(update: Parameters<typeof toPieces>[1]): void {
    for (const body of toPieces(newClientId(), update) ?? []) this.options.write({ verb: "board", body });
  }
}
