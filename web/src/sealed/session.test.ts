import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ApiError } from "../lib/api";
import { type Bytes, random, toBase64url } from "./bytes";
import { digitsOf } from "./code";
import type { Engine } from "./engine";
import { KeyRing, type RingStore } from "./keyRing";
import { type LinkKeys, linkKeys } from "./linkSecret";
import type { Core } from "./mls/core";
import { type Device, newDevice } from "./mls/mls";
import { startCore } from "./mls/testWorld";
import { MlsDevice } from "./mlsDevice";
import type { EpochHistory, JoinWish, NewCommit, Present, SealState } from "./sealApi";
import { SealedSession } from "./session";

const NOWHERE: RingStore = { load: () => Promise.resolve(null), save: () => Promise.resolve() };
const TIMES = { gatherMs: 5, turnMs: 60, absentMs: 30, returnMs: 60, patienceMs: 400, retryMs: 10 };

let core: Core;
let link: LinkKeys;
const everybody: Page[] = [];

beforeAll(async () => {
  core = await startCore();
  link = await linkKeys(toBase64url(random(32)));
});
afterEach(() => {
  for (const page of everybody.splice(0)) page.session.close();
});

/** What a server does that is honest; tests make it less so. */
class Server {
  group = "";
  epoch = -1;
  groupInfo: Bytes = new Uint8Array(0);
  readonly commits: { group: string; epoch: number; commit: Bytes }[] = [];
  readonly history: EpochHistory[] = [];
  readonly pages = new Set<Page>();
  readonly joins = new Map<string, JoinWish>();
  /** Looked at before a commit is news. */
  spoil: (commit: Bytes) => Bytes | null = (commit) => commit;

  present(): Present[] {
    return [...this.pages].map(({ device, member }) => ({ device, member, name: member }));
  }

  tell(message: Record<string, unknown>, to: (page: Page) => boolean = () => true): void {
    for (const page of this.pages) if (to(page)) page.session.hear(message);
  }

  come(page: Page): void {
    this.pages.add(page);
    page.session.hear({ type: "seal_present", present: this.wire(this.present()), waiting: [...this.joins.keys()] });
    page.session.handleOnline(true);
    this.tell({ type: "seal_changed", came: this.wire([page.present]), left: [], waiting: [] }, (other) => other !== page);
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

  commit(one: NewCommit): void {
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
    this.tell({ type: "seal_welcome", ...news, welcome: toBase64url(one.welcome) }, ({ device }) => one.welcomed.includes(device));
  }

  join(page: Page, wish: JoinWish): void {
    this.joins.set(wish.device, wish);
    this.tell({ type: "seal_changed", came: [], left: [], waiting: [wish.device] }, (other) => other !== page);
  }
}

class Page {
  readonly device: string;
  readonly ring = new KeyRing("den", NOWHERE);
  readonly session: SealedSession;
  readonly own: Device;

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
        server.commit(one);
      },
      commits: (group: string, since: number) =>
        Promise.resolve({ commits: server.commits.filter((one) => one.group === group && one.epoch > since), more: false }),
      join: async (device: string, keyPackage: Bytes, proof: Bytes) => {
        await Promise.resolve();
        server.join(this, { device, from: member, keyPackage, proof });
      },
      history: () => Promise.resolve({ epochs: server.history, reached: server.history.length, more: false }),
    };
    const { device, ring } = this;
    const engine = engineOf(own, keys);
    this.session = new SealedSession({ device, me: member, engine, api, link: keys, ring, sharesHistory: () => sharesHistory, times: TIMES });
  }

  get present(): Present {
    return { device: this.device, member: this.member, name: this.member };
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
    close: () => undefined,
  };
}

async function until(what: () => boolean, why: string): Promise<void> {
  const end = Date.now() + 15_000;
  while (!what()) {
    if (Date.now() > end) throw new Error(`still not: ${why}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const agree = (...pages: Page[]) =>
  until(() => {
    const [first] = pages;
    const isFull = first?.session.state.view?.members.length === pages.length;
    return isFull && first.code !== "" && pages.every(({ code }) => code === first.code);
  }, `${pages.length} in one group with one code`);

function room(...members: string[]) {
  const server = new Server();
  const pages = members.map((member) => new Page(server, member));
  for (const page of pages) server.come(page);
  return { server, pages };
}

describe("the group of a sealed room", () => {
  it("has everybody who is there, at the same epoch with the same code", { timeout: 60_000 }, async () => {
    const { server, pages } = room("ada", "bob", "cleo", "dan", "eve");
    await agree(...pages);
    // Not one commit for each of them.
    expect(server.epoch).toBeLessThan(5);
  });

  it("goes on without those who leave, whose keys are worth nothing then", { timeout: 60_000 }, async () => {
    const { server, pages } = room("ada", "bob", "cleo");
    const [ada, bob, cleo] = pages as [Page, Page, Page];
    await agree(ada, bob, cleo);
    server.go(ada);
    await agree(bob, cleo);
    const { group, epoch } = bob.session.state.view ?? { group: "", epoch: -1 };
    expect(ada.ring.find(group, epoch)).toBeNull();
    // And takes her back under a new key.
    const again = new Page(server, "ada");
    server.come(again);
    await agree(again, bob, cleo);
  });

  it("takes a page that is loaded anew in the place of the one before", { timeout: 60_000 }, async () => {
    const { server, pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    let before = ada;
    for (let times = 0; times < 3; times++) {
      // Sooner than it could be missed.
      server.go(before);
      const again = new Page(server, "ada", link, true, ada.own);
      server.come(again);
      await agree(again, bob);
      before = again;
    }
    // One commit for each: out and in.
    expect(server.epoch).toBeLessThan(6);
  });

  it("is entered by whoever comes when nobody is there, and the room's history is read", { timeout: 60_000 }, async () => {
    const { server, pages } = room("ada", "bob");
    await agree(...pages);
    const was = server.epoch;
    for (const page of pages) server.go(page);
    const late = new Page(server, "cleo");
    server.come(late);
    await agree(late);
    await until(() => late.ring.find(server.group, was) !== null, "the key of before");
  });

  it("shows nothing of before to who comes later, where the room does not want it", { timeout: 60_000 }, async () => {
    const server = new Server();
    const ada = new Page(server, "ada", link, false);
    server.come(ada);
    await agree(ada);
    const { epoch, group } = server;
    const late = new Page(server, "bob", link, false);
    server.come(late);
    await agree(ada, late);
    expect([server.history.length, late.ring.find(group, epoch)]).toEqual([0, null]);
  });

  it("does not let in who has another link, and goes on", { timeout: 60_000 }, async () => {
    const { server, pages } = room("ada", "bob");
    await agree(...pages);
    const stranger = new Page(server, "mallory", await linkKeys(toBase64url(random(32))));
    server.come(stranger);
    await until(() => stranger.session.state.problem !== null || server.epoch > 6, "the stranger gives up");
    server.go(stranger);
    await agree(...pages);
    const { group, epoch } = pages[0]?.session.state.view ?? { group: "", epoch: -1 };
    expect(stranger.ring.find(group, epoch)).toBeNull();
  });

  it("does not believe that somebody is who the server says, when their own device says otherwise", { timeout: 60_000 }, async () => {
    const { server, pages } = room("ada");
    await agree(...pages);
    const liar = new Page(server, "bob");
    const join = server.join.bind(server);
    server.join = (page, wish) => {
      join(page, { ...wish, from: "cleo" });
    };
    server.come(liar);
    await until(() => liar.session.state.view !== null, "bob gets in, by his own commit and name");
    expect(pages[0]?.session.state.view?.members.map(({ member }) => member)).not.toContain("cleo");
  });

  it.each([
    ["lost", () => null],
    ["changed", (commit: Bytes) => commit.map((byte, at) => (at === commit.length - 1 ? byte ^ 1 : byte))],
  ])("heals when the server's news of a commit is %s", { timeout: 60_000 }, async (_, spoil) => {
    const { server, pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    let spoilt = 0;
    server.spoil = (commit) => (spoilt++ === 0 ? spoil(commit) : commit);
    const cleo = new Page(server, "cleo");
    server.come(cleo);
    await until(() => spoilt > 0, "a commit was spoilt");
    // Whoever missed one hears of it with the next.
    const dan = new Page(server, "dan");
    server.come(dan);
    await agree(ada, bob, cleo, dan);
  });

  it("begins anew when what the server holds of it is of no use", { timeout: 60_000 }, async () => {
    const server = new Server();
    Object.assign(server, { group: toBase64url(random(16)), epoch: 7, groupInfo: random(100) });
    const ada = new Page(server, "ada");
    server.come(ada);
    await agree(ada);
    expect(server.epoch).toBe(0);
  });
});
