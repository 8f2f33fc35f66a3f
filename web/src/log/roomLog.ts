/** What this page knows of a room that lasts: its log, what waits to be written, who knocks, who types, what is unread. */

import { ApiError, reaches, roleOf, text } from "../lib/api";
import { pauseMs } from "../lib/comeback";
import { type Entry, numbers, parseEntry } from "./entries";
import { EMPTY, fold, linesOf, type LogState, nextExpiryMs, raisedHands, without } from "./fold";
import { takeHanded, toHand } from "./handing";
import { type Draft, Outbox } from "./outbox";
import { DEFAULT_POLICY, type Page, toPolicy } from "./rest";
import { type RoomNews, type RoomSnapshot, toKnocks, toReadMark, withReadMark } from "./roomState";
import { type Message, Sync, type SyncOptions } from "./sync";
import { Typists } from "./typists";

type Connection = Pick<Sync, "start" | "close" | "tryNow" | "write" | "read" | "typing" | "askHistory" | "handHistory">;

export interface RoomLogOptions {
  room: string;
  /** Who one is; the server says it again. */
  me: string;
  token: (fresh: boolean) => Promise<string>;
  api: { page: (before: number | null, limit: number) => Promise<Page> };
  connect?: (options: SyncOptions) => Connection;
}

const PAGE = 60;
const READ_MS = 800;
/** What is counted as unread. */
const COUNTED: ReadonlySet<string> = new Set(["message", "file", "poll"]);
const PASSING_REFUSALS: ReadonlySet<string> = new Set(["rate_limited", "unavailable", "internal"]);

export class RoomLog {
  state: RoomSnapshot;
  private log: LogState = EMPTY;
  /** Everything up to here is known; null while the newest page is not there. */
  private reached: number | null = null;
  /** The first entry of the oldest page: it need not be one that is shown. */
  private floor: number | null = null;
  /** Entries behind it are news. */
  private newsFrom = Infinity;
  private unreadBefore = 0;
  private readSeq = 0;
  /** Entries behind it have just happened. */
  private liveFrom = Infinity;
  /** What a clock here is behind the server's. */
  private skewMs = 0;
  private readonly newsListeners = new Set<Partial<RoomNews>>();
  private generation = 0;
  private readonly outbox: Outbox;
  private readonly sync: Connection;
  private readonly listeners = new Set<() => void>();
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();
  private readonly typists = new Typists((typing) => {
    this.update({ typing });
  });
  private expiry: ReturnType<typeof setTimeout> | undefined;
  private reading: ReturnType<typeof setTimeout> | undefined;
  private loading = false;

  constructor(private readonly options: RoomLogOptions) {
    const { room, me, token } = options;
    this.outbox = new Outbox(room, me);
    this.state = {
      lines: [],
      pending: this.outbox.waiting,
      hands: [],
      ready: false,
      more: false,
      online: false,
      me,
      role: "guest",
      title: "",
      policy: DEFAULT_POLICY,
      knocks: [],
      typing: [],
      reads: [],
      unread: 0,
      newFrom: Infinity,
    };
    const connect = options.connect ?? ((sync: SyncOptions) => new Sync(sync));
    this.sync = connect({
      room,
      token,
      since: () => this.reached,
      onMessage: (message) => {
        this.hear(message);
      },
      onOnline: (online) => {
        this.update({ online });
        if (online) this.sendWaiting();
      },
      onOver: (code) => {
        this.tell("onOver", code);
      },
    });
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): RoomSnapshot => this.state;

  readonly listen = (news: Partial<RoomNews>): (() => void) => {
    this.newsListeners.add(news);
    return () => this.newsListeners.delete(news);
  };

  open(): void {
    this.sync.start();
  }

  close(): void {
    this.generation += 1;
    this.sync.close();
    for (const timer of this.timers) clearTimeout(timer);
    this.typists.clear();
    clearTimeout(this.expiry);
    clearTimeout(this.reading);
  }

  readonly tryNow = (): void => {
    this.sync.tryNow();
  };

  // --- writing ------------------------------------------------------------------------------------------------

  readonly write = (draft: Draft): void => {
    const pending = this.outbox.add(draft, Date.now() + this.skewMs);
    this.update({ pending: this.outbox.waiting });
    this.sync.write(pending);
  };

  readonly retry = (clientId: string): void => {
    this.outbox.setFailed(clientId, null);
    this.update({ pending: this.outbox.waiting });
    const pending = this.outbox.find(clientId);
    if (pending !== undefined) this.sync.write(pending);
  };

  readonly discard = (clientId: string): void => {
    this.outbox.remove(clientId);
    this.update({ pending: this.outbox.waiting });
  };

  readonly tellTyping = (on: boolean): void => {
    this.sync.typing(on);
  };

  /** Everything that is there was seen. */
  readonly markRead = (): void => {
    // Nobody has seen what has not come yet.
    if (!this.state.ready) return;
    const { newest } = this.log;
    this.unreadBefore = 0;
    if (newest <= this.readSeq && this.state.unread === 0) return;
    this.readSeq = newest;
    this.update({ unread: 0 });
    clearTimeout(this.reading);
    this.reading = setTimeout(() => {
      this.sync.read(this.readSeq);
    }, READ_MS);
  };

  readonly sendWaiting = (): void => {
    for (const pending of this.outbox.waiting) if (pending.failed === null) this.sync.write(pending);
  };

  private written(message: Message): void {
    const pending = this.outbox.find(text(message.client_id));
    if (pending === undefined) return;
    this.outbox.remove(pending.clientId);
    const { me } = this.state;
    // It also comes as an entry, before or after this; until then nobody has to look at a gap.
    const raw = { verb: pending.verb, body: pending.body, target: pending.target, to: pending.to, client_id: pending.clientId };
    const entry = parseEntry({ ...raw, seq: message.seq, at_ms: message.at_ms, from: me, name: "" });
    if (entry !== null && !this.log.own.has(pending.clientId)) this.take([entry]);
    this.update({ pending: this.outbox.waiting });
  }

  private refused(message: Message): void {
    const pending = this.outbox.find(text(message.client_id));
    if (pending === undefined) return;
    const code = text(message.code);
    if (PASSING_REFUSALS.has(code)) {
      const waitS = typeof message.retry_after_s === "number" ? message.retry_after_s : 1;
      this.later(Math.max(1, waitS) * 1000, () => {
        this.sync.write(pending);
      });
      return;
    }
    // Only what somebody wrote waits for a second try; a reaction that is too late is none.
    if (pending.verb === "message" || pending.verb === "file") this.outbox.setFailed(pending.clientId, code);
    else this.outbox.remove(pending.clientId);
    this.update({ pending: this.outbox.waiting });
    this.tell("onRefused", code, pending);
  }

  // --- reading ------------------------------------------------------------------------------------------------

  /** Older entries than those that are there. */
  readonly loadOlder = async (): Promise<void> => {
    if (this.loading || !this.state.more) return;
    this.loading = true;
    const { generation } = this;
    try {
      const page = await this.options.api.page(this.floor, PAGE);
      if (generation !== this.generation) return;
      this.take(page.entries);
      this.update({ more: page.more });
    } catch {
      // The next scrolling asks again.
    } finally {
      this.loading = false;
    }
  };

  private async reload(attempt = 0): Promise<void> {
    const generation = (this.generation += 1);
    try {
      const page = await this.options.api.page(null, PAGE);
      if (generation !== this.generation) return;
      const kept = [...this.log.lines.values()].filter((entry) => entry.seq > page.newest);
      const { own, passing, passed } = this.log;
      this.log = { ...fold(EMPTY, [...page.entries, ...kept]), own, passing, passed };
      this.floor = page.entries[0]?.seq ?? null;
      this.reached = Math.max(page.newest, this.log.newest);
      this.count();
      this.update({ ready: true, more: page.more });
      this.show();
    } catch (error) {
      if (generation !== this.generation || (error instanceof ApiError && error.code === "forbidden")) return;
      this.later(pauseMs(attempt), () => void this.reload(attempt + 1));
    }
  }

  private hear(message: Message): void {
    switch (message.type) {
      case "opened":
        this.opened(message);
        break;
      case "reset":
        this.reached = null;
        void this.reload();
        break;
      case "entry": {
        const entry = parseEntry(message);
        if (entry !== null) this.live(entry);
        break;
      }
      case "gone":
        this.gone(numbers(message.seqs));
        break;
      case "written":
        this.written(message);
        break;
      case "refused":
        this.refused(message);
        break;
      case "knocks":
        this.takeKnocks(message.knocks);
        break;
      case "read":
        this.update({ reads: withReadMark(this.state.reads, toReadMark(message)) });
        break;
      case "typing":
        this.typists.set(text(message.from), text(message.name), message.on === true);
        break;
      case "history":
        this.log = takeHanded(this.log, message.entries);
        this.show();
        break;
      case "history_wanted":
        this.handOn(message);
        break;
      default:
    }
    this.tell("onMessage", message);
  }

  private gone(seqs: readonly number[]): void {
    this.log = without(this.log, seqs);
    this.count();
    this.show();
    this.tell("onGone", seqs);
  }

  private opened(message: Message): void {
    const newest = typeof message.newest === "number" ? message.newest : 0;
    const readSeq = typeof message.read_seq === "number" ? message.read_seq : 0;
    this.liveFrom = newest;
    if (this.newsFrom === Infinity) {
      this.newsFrom = newest;
      this.readSeq = Math.max(this.readSeq, readSeq);
      this.unreadBefore = typeof message.unread === "number" ? message.unread : 0;
      this.update({ newFrom: this.unreadBefore > 0 ? readSeq : newest, unread: this.unreadBefore });
    }
    this.update({
      me: text(message.from) || this.state.me,
      role: roleOf(message.role),
      title: text(message.title),
      policy: toPolicy(message.policy),
      reads: Array.isArray(message.reads) ? message.reads.map(toReadMark) : [],
      knocks: [],
    });
    const { keeps, member_history: asksMembers } = this.state.policy;
    if (keeps === "nothing" && asksMembers) this.sync.askHistory();
  }

  private handOn(message: Message): void {
    const [entries, bytes] = [message.max_entries, message.max_bytes].map((limit) => (typeof limit === "number" ? limit : 0));
    this.sync.handHistory(text(message.question), toHand(this.log, Date.now() + this.skewMs, entries ?? 0, bytes ?? 0));
  }

  private live(entry: Entry): void {
    // What has just happened tells the server's time; what was missed does not.
    if (entry.seq > this.liveFrom || entry.seq === 0) this.skewMs = entry.atMs - Date.now();
    if (this.reached !== null) this.reached = Math.max(this.reached, entry.seq);
    const isNew = (entry.seq === 0 || entry.seq > this.newsFrom) && !this.log.lines.has(entry.seq || -1);
    this.typists.set(entry.from, "", false);
    this.take([entry]);
    this.followRoom(entry);
    if (isNew) this.tell("onEntry", entry);
  }

  /** What an entry says of the room itself. */
  private followRoom(entry: Entry): void {
    const { body } = entry;
    if (body === null) return;
    if (entry.verb === "policy") {
      this.update({ policy: toPolicy({ ...this.state.policy, ...body }), title: text(body.title) || this.state.title });
    }
    if (entry.verb === "moderation" && body.act === "role" && body.who === this.state.me) {
      const role = roleOf(body.role);
      this.update({ role, knocks: reaches(role, "moderator") ? this.state.knocks : [] });
    }
  }

  /** New ones, or known ones that can be read only now. */
  readonly take = (entries: readonly Entry[]): void => {
    this.log = fold(this.log, entries);
    for (const { seq } of entries) if (this.floor !== null && seq > 0) this.floor = Math.min(this.floor, seq);
    if (this.reached !== null) this.count();
    this.show();
  };

  /** Unread: what the server counted when the page was opened, and what of others has come since. */
  private count(): void {
    const from = Math.max(this.newsFrom, this.readSeq);
    let unread = this.readSeq < this.newsFrom ? this.unreadBefore : 0;
    for (const { seq, verb, from: sender, body } of this.log.lines.values()) {
      if (seq > from && COUNTED.has(verb) && sender !== this.state.me && body !== null) unread += 1;
    }
    if (unread !== this.state.unread) this.update({ unread });
  }

  private takeKnocks(value: unknown): void {
    const knocks = toKnocks(value);
    const known = new Set(this.state.knocks.map(({ id }) => id));
    this.update({ knocks });
    for (const knock of knocks) if (!known.has(knock.id)) this.tell("onKnock", knock);
  }

  // --- showing ------------------------------------------------------------------------------------------------

  private show(): void {
    const nowMs = Date.now() + this.skewMs;
    this.update({ lines: linesOf(this.log, nowMs), hands: raisedHands(this.log) });
    clearTimeout(this.expiry);
    const next = nextExpiryMs(this.log, nowMs);
    if (next === null) return;
    // A longer time than a timer can count is looked at again after a day.
    this.expiry = setTimeout(
      () => {
        this.show();
      },
      Math.min(next - nowMs, 86_400_000) + 20,
    );
  }

  private later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      act();
    }, ms);
    this.timers.add(timer);
  }

  private tell<Kind extends keyof RoomNews>(kind: Kind, ...what: Parameters<RoomNews[Kind]>): void {
    for (const listener of this.newsListeners) (listener[kind] as ((...values: typeof what) => void) | undefined)?.(...what);
  }

  private update(change: Partial<RoomSnapshot>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}
