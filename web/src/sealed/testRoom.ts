/** For tests: a sealed room of pages with the real MLS library, around a server that is honest until a test makes it less so. */

import { ApiError } from "../lib/api";
import { type Entry, isLocked } from "../log/entries";
import type { Message } from "../log/sync";
import { type Bytes, random, toBase64url } from "./bytes";
import { digitsOf } from "./code";
import type { Engine } from "./engine";
import { ASK_TIMES, KeyAsks } from "./keyAsks";
import { KeyRing, type RingStore } from "./keyRing";
import { type LinkKeys, linkKeys } from "./linkSecret";
import { LogSeal } from "./logSeal";
import type { Core } from "./mls/core";
import { type Device, newDevice } from "./mls/mls";
import { startCore } from "./mls/testWorld";
import { MlsDevice } from "./mlsDevice";
import { type AskToJoin, type EpochHistory, type JoinWish, type NewCommit, type Present, type SealState, toJoinWish } from "./sealApi";
import { SealedSession, TIMES } from "./session";

const NOWHERE: RingStore = { load: () => Promise.resolve(null), save: () => Promise.resolve() };
const QUICK = { gatherMs: 5, turnMs: 60, absentMs: 30, returnMs: 60, patienceMs: 400, retryMs: 10 };
const QUICK_ASKS = { gatherMs: 5, roundMs: 60 };

export const core: Core = await startCore();
export const link: LinkKeys = await linkKeys(toBase64url(random(32)));
const everybody: Page[] = [];

export function closeAll(): void {
  for (const page of everybody.splice(0)) page.close();
}

export class Server {
  /** `isQuick`: nothing waits as long as in a browser. */
  constructor(readonly isQuick = true) {}

  group = "";
  epoch = -1;
  groupInfo: Bytes = new Uint8Array(0);
  private gate: Bytes | null = null;
  readonly commits: { group: string; epoch: number; commit: Bytes }[] = [];
  readonly history: EpochHistory[] = [];
  readonly pages = new Set<Page>();
  readonly joins = new Map<string, JoinWish>();
  readonly entries: Entry[] = [];
  /** Looked at before a commit is news. */
  spoil: (commit: Bytes) => Bytes | null = (commit) => commit;
  /** How often a welcome comes. */
  welcomes = 1;
  /** So many answers do not arrive. */
  lostAnswers = 0;
  /** What devices said to each other. */
  readonly said: { page: Page; message: Message }[] = [];

  present(): Present[] {
    return [...this.pages].map(({ device, member }) => ({ device, member, name: member }));
  }

  tell(message: Record<string, unknown>, to: (page: Page) => boolean = () => true): void {
    for (const page of this.pages) if (to(page)) page.hear(message);
  }

  come(page: Page): void {
    this.pages.add(page);
    void page.session.wish().then((ask) => {
      if (!this.pages.has(page)) return;
      if (ask !== null) this.join(page, toJoinWish({ device: page.device, from: page.member, ...ask }));
      this.greet(page, this.present());
    });
    page.read(this.entries);
    this.tell({ type: "seal_changed", came: this.wire([page.present]), left: [], waiting: [] }, (other) => other !== page);
  }

  /** What a connection begins with. */
  greet(page: Page, present: readonly Present[]): void {
    const { group, epoch } = this;
    page.session.handleOnline(true);
    page.session.hear({ type: "seal_present", group, epoch, present: this.wire(present), waiting: [...this.joins.keys()] });
  }

  go(page: Page): void {
    this.pages.delete(page);
    this.joins.delete(page.device);
    page.session.handleOnline(false);
    this.tell({ type: "seal_changed", came: [], left: this.wire([page.present]), waiting: [] });
  }

  private wire(present: readonly Present[]) {
    return present.map(({ device, member, name }) => ({ device, member_id: member, name }));
  }

  state(): SealState {
    const { group, epoch, groupInfo } = this;
    return { group, epoch, groupInfo };
  }

  commit(one: NewCommit, gate: Bytes): void {
    this.gate ??= gate;
    if (toBase64url(this.gate) !== toBase64url(gate)) throw new ApiError("link_required", "");
    if (one.group !== this.group || one.epoch !== this.epoch) throw new ApiError("epoch_conflict", "");
    this.group = one.newGroup ?? this.group;
    this.epoch = one.newGroup === null ? this.epoch + 1 : 0;
    this.groupInfo = one.groupInfo;
    if (one.history !== null) this.history.push({ group: this.group, epoch: this.epoch, ...one.history });
    for (const device of one.welcomed) this.joins.delete(device);
    const news = { group: this.group, epoch: this.epoch };
    if (one.newGroup === null) this.commits.push({ ...news, commit: one.commit });
    const commit = this.spoil(one.commit);
    if (commit !== null) {
      this.tell({ type: "seal_commit", ...news, commit: toBase64url(commit) }, ({ device }) => !one.welcomed.includes(device));
    }
    const welcome = { type: "seal_welcome", ...news, welcome: toBase64url(one.welcome) };
    for (let times = 0; times < this.welcomes; times++) this.tell(welcome, ({ device }) => one.welcomed.includes(device));
  }

  /** From device to device. */
  pass(page: Page, message: Message): void {
    this.said.push({ page, message });
    if (message.type === "seal_give" && this.lostAnswers-- > 0) return;
    const { device, member } = page;
    const news = { ...message, device, from: member };
    this.tell(news, (other) => (message.type === "seal_give" ? other.device === message.device : other !== page));
  }

  write(entry: Omit<Entry, "seq">): void {
    const written = { ...entry, seq: this.entries.length + 1 };
    this.entries.push(written);
    for (const page of this.pages) page.read([written]);
  }

  join(page: Page, wish: JoinWish): void {
    this.joins.set(wish.device, wish);
    this.tell({ type: "seal_changed", came: [], left: [], waiting: [wish.device] }, (other) => other !== page);
  }
}

export class Page {
  readonly device: string;
  readonly ring = new KeyRing("den", NOWHERE);
  readonly session: SealedSession;
  readonly seal: LogSeal;
  readonly asks: KeyAsks;
  readonly engine: Engine;
  readonly own: Device;
  /** What the page shows, by `seq`. */
  readonly shown = new Map<number, Entry>();

  constructor(
    readonly server: Server,
    readonly member: string,
    keys: LinkKeys = link,
    sharesHistory = true,
    own: Device = newDevice(core, member, toBase64url(random(16))),
  ) {
    everybody.push(this);
    this.device = own.device;
    this.own = own;
    const api = {
      state: () => Promise.resolve(server.state()),
      epoch: () => Promise.resolve(server.state()),
      joins: () => Promise.resolve([...server.joins.values()]),
      commit: async (one: NewCommit) => {
        await Promise.resolve();
        server.commit(one, keys.gate);
      },
      commits: (group: string, since: number) =>
        Promise.resolve({ commits: server.commits.filter((one) => one.group === group && one.epoch > since), more: false }),
      join: async (device: string, ask: AskToJoin) => {
        await Promise.resolve();
        server.join(this, toJoinWish({ device, from: member, ...ask }));
      },
      history: () => Promise.resolve({ epochs: server.history, reached: server.history.length, more: false }),
    };
    const { device, ring } = this;
    const engine = engineOf(own, keys);
    this.engine = engine;
    const shares = () => sharesHistory;
    const [times, askTimes] = server.isQuick ? [QUICK, QUICK_ASKS] : [TIMES, ASK_TIMES];
    this.session = new SealedSession({ device, me: member, engine, api, link: keys, ring, sharesHistory: shares, times });
    const { session } = this;
    const current = () => {
      const { view } = session.state;
      return view === null ? null : { group: view.group, epoch: view.epoch, key: view.chatKey };
    };
    this.seal = new LogSeal(ring, current, () => member);
    this.seal.onReadable(this.show);
    const send = (message: Message) => {
      server.pass(this, message);
    };
    this.asks = new KeyAsks({ device, session, seal: this.seal, ring, engine, send, sharesHistory: shares, times: askTimes });
  }

  close(): void {
    this.asks.close();
    this.seal.close();
    this.session.close();
  }

  hear(message: Record<string, unknown>): void {
    this.session.hear(message);
    this.asks.hear(message);
  }

  /** Waits, as the page does, until it is in the group. */
  async say(text: string): Promise<void> {
    await until(() => this.session.state.view !== null, () => `${String(this)} in the group`);
    const body = await this.seal.seal({ verb: "message", body: { text }, clientId: toBase64url(random(9)) });
    const about = { target: null, to: "", expiresAtMs: null, fromMember: "", clientId: "" };
    this.server.write({ ...about, verb: "message", from: this.member, name: this.member, atMs: 1, body });
  }

  read(entries: readonly Entry[]): void {
    void this.seal.open(entries).then(this.show);
  }

  private readonly show = (entries: readonly Entry[]): void => {
    for (const entry of entries) if (isLocked(this.shown.get(entry.seq)?.body ?? { sealed: {} })) this.shown.set(entry.seq, entry);
  };

  /** What it says where this entry stands: its text, or why it does not open. */
  line(seq: number): unknown {
    const body = this.shown.get(seq)?.body;
    if (body === undefined || body === null) return null;
    return isLocked(body) ? this.asks.lackOf(body) : body.text;
  }

  get present(): Present {
    return { device: this.device, member: this.member, name: this.member };
  }

  toString(): string {
    const { view, problem } = this.session.state;
    const where = view === null ? "outside" : `${view.group} ${view.epoch} with ${view.members.map(({ member }) => member).join(" ")}`;
    return `${this.member} ${where} ${problem ?? ""}`;
  }

  get code(): string {
    const { view } = this.session.state;
    return view === null ? "" : digitsOf(view.code).join("");
  }
}

function engineOf(device: Device, keys: LinkKeys): Engine {
  const own = new MlsDevice(core, device, keys.psk);
  const later = <Args extends unknown[], Result>(act: (...args: Args) => Result) => async (...args: Args) => {
    await Promise.resolve();
    return act.apply(own, args);
  };
  return {
    keyPackage: later(own.keyPackage.bind(own)),
    create: later(own.create.bind(own)),
    join: later(own.join.bind(own)),
    joinExternally: later(own.joinExternally.bind(own)),
    propose: later(own.propose.bind(own)),
    accept: later(own.accept.bind(own)),
    process: later(own.process.bind(own)),
    sign: own.sign.bind(own),
    close: () => undefined,
  };
}

export async function until(what: () => boolean, why: () => string): Promise<void> {
  const end = Date.now() + 15_000;
  while (!what()) {
    if (Date.now() > end) throw new Error(`still not: ${why()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** They are in one group with one code, and nobody else is. */
export const agree = (...pages: Page[]) =>
  until(
    () => {
      const [first] = pages;
      const isFull = first?.session.state.view?.members.length === pages.length;
      return isFull && first.code !== "" && pages.every(({ code }) => code === first.code);
    },
    () => `in one group: ${pages.map(String).join("; ")}; the server: ${pages[0]?.server.group} ${pages[0]?.server.epoch}`,
  );

export function room(...members: string[]) {
  const server = new Server();
  const pages = members.map((member) => new Page(server, member));
  for (const page of pages) server.come(page);
  return { server, pages };
}
