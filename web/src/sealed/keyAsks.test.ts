import { afterEach, describe, expect, it } from "vitest";
import { type Bytes, random, toBase64url } from "./bytes";
import { makeAsk, newAnswerKey, publicOf } from "./asking";
import { KeyAsks } from "./keyAsks";
import { agree, closeAll, link, Page, room, Server, until } from "./testRoom";

afterEach(closeAll);

const flipped = (key: Bytes): Bytes => key.map((byte, at) => (at === 7 ? byte ^ 1 : byte));

/** The key of now, as one device has it. */
function keyOf(page: Page) {
  const { view } = page.session.state;
  if (view === null) throw new Error("not in the group");
  const { group, epoch, chatKey } = view;
  return { group, epoch, key: chatKey };
}

const shows = (page: Page, seq: number, what: unknown) =>
  until(() => page.line(seq) === what, () => `${page.member} shows ${String(what)}, not ${String(page.line(seq))}`);
const gives = (server: Server) => server.said.filter(({ message }) => message.type === "seal_give");

/** The session of a page, whose group has another epoch whenever a test says so. */
function movable(page: Page) {
  let listener: (() => void) | undefined;
  const session = {
    state: page.session.state,
    settled: () => Promise.resolve(),
    lookAgain: () => undefined,
    subscribe: (told: () => void) => {
      listener = told;
      return () => undefined;
    },
    move: () => {
      const { view } = session.state;
      if (view !== null) session.state = { ...session.state, view: { ...view, epoch: view.epoch + 1 } };
      listener?.();
    },
  };
  return session;
}

function noHistory(...members: string[]) {
  const server = new Server();
  const pages = members.map((member) => new Page(server, member, link, false));
  for (const page of pages) server.come(page);
  return { server, pages };
}

describe("a key that is missing", { timeout: 60_000 }, () => {
  it("is had from those who are there, when what the server kept of it is lost", async () => {
    const { server, pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    await ada.say("before");
    await shows(bob, 1, "before");
    server.history.length = 0;
    const cleo = new Page(server, "cleo");
    server.come(cleo);
    await shows(cleo, 1, "before");
  });

  it("is had again where a bit of it was changed", async () => {
    const { pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    const { key, ...name } = keyOf(bob);
    bob.ring.replace({ ...name, key: flipped(key) });
    await ada.say("hello");
    await shows(bob, 1, "hello");
    expect(bob.ring.find(name.group, name.epoch)).toEqual(key);
  });

  it("is had where answers are lost, also from few", async () => {
    const { server, pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    const { key, ...name } = keyOf(bob);
    bob.ring.replace({ ...name, key: flipped(key) });
    server.lostAnswers = 2;
    await ada.say("hello");
    await shows(bob, 1, "hello");
    expect(gives(server)).toHaveLength(3);
  });

  it("is asked for in each epoch anew that is over before the answer", async () => {
    const { pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    const { key, ...name } = keyOf(bob);
    bob.ring.replace({ ...name, key: flipped(key) });
    bob.asks.close();
    const session = movable(bob);
    let epochs = 4;
    let asked = 0;
    const send = () => {
      asked += 1;
      if (epochs-- > 0) session.move();
    };
    const { device, seal, ring, engine } = bob;
    const asks = new KeyAsks({ device, session, seal, ring, engine, send, sharesHistory: () => true, times: { gatherMs: 1, roundMs: 5 } });
    await ada.say("hello");
    const isOver = () => asked > 0 && asks.lackOf(bob.server.entries[0]?.body ?? {}) === "broken";
    await until(isOver, () => `it is given up, after ${asked} questions`);
    expect(asked).toBe(4 + 3);
    asks.close();
  });

  it.each(["settled", "sign", "send"])("is asked for again after a question that failed: %s", async (where) => {
    const { pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    const { key, ...name } = keyOf(bob);
    bob.ring.replace({ ...name, key: flipped(key) });
    bob.asks.close();
    let failures = 2;
    let sent = 0;
    const mayFail = (here: string) => {
      if (here === where && failures-- > 0) throw new Error("not now");
    };
    const { device, seal, ring } = bob;
    const settled = () =>
      new Promise<void>((done) => {
        mayFail("settled");
        done();
      });
    const session = { ...movable(bob), settled };
    const engine = {
      sign: async (...of: Parameters<typeof bob.engine.sign>) => {
        mayFail("sign");
        return bob.engine.sign(...of);
      },
    };
    const send = () => {
      mayFail("send");
      sent += 1;
    };
    const asks = new KeyAsks({ device, session, seal, ring, engine, send, sharesHistory: () => true, times: { gatherMs: 1, roundMs: 5 } });
    await ada.say("hello");
    await until(() => sent > 0, () => "it is asked for");
    expect(failures).toBeLessThan(1);
    asks.close();
  });

  it("is not handed to who came later where the room does not want it, and is to who was there", async () => {
    const { server, pages } = noHistory("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    const { key, ...name } = keyOf(bob);
    bob.ring.replace({ ...name, key: flipped(key) });
    await ada.say("between us");
    await shows(bob, 1, "between us");
    const late = new Page(server, "cleo", link, false);
    server.come(late);
    await shows(late, 1, "nobody");
    expect(gives(server).map(({ message }) => message.device)).not.toContain(late.device);
  });

  it("is asked for again when somebody comes", async () => {
    const { server, pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    await ada.say("kept by her alone");
    await shows(bob, 1, "kept by her alone");
    for (const page of pages) server.go(page);
    server.history.length = 0;
    const cleo = new Page(server, "cleo");
    server.come(cleo);
    await shows(cleo, 1, "nobody");
    server.come(ada);
    await shows(cleo, 1, "kept by her alone");
  });

  it("is told to be there where what came was never sealed with it", async () => {
    const { server, pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    await ada.say("hello");
    const [{ seq, ...said }] = server.entries as [(typeof server.entries)[0]];
    server.write({ ...said, from: "bob" });
    await shows(bob, seq + 1, "broken");
    expect(bob.line(seq)).toBe("hello");
  });

  it("is not taken from who gives a wrong one", async () => {
    const { pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    const { key, ...name } = keyOf(bob);
    ada.ring.replace({ ...name, key: flipped(key) });
    bob.ring.replace({ ...name, key: random(32) });
    await ada.say("hello");
    await shows(bob, 1, "broken");
    expect(bob.ring.find(name.group, name.epoch)).not.toEqual(ada.ring.find(name.group, name.epoch));
  });

  it("is answered by few where many are there", async () => {
    const { server, pages } = room("a", "b", "c", "d", "e", "f", "g");
    const [first] = pages as [Page];
    await agree(...pages);
    const [last] = pages.filter((page) => page.session.state.view?.own === 6) as [Page];
    const { key, ...name } = keyOf(last);
    last.ring.replace({ ...name, key: flipped(key) });
    await first.say("hello");
    await shows(last, 1, "hello");
    expect(gives(server).length).toBeLessThanOrEqual(4);
  });
});

describe("a question", { timeout: 60_000 }, () => {
  it.each([
    ["is signed by another device", (ask: object) => ask, "bob"],
    ["is of another epoch", (ask: object) => ({ ...ask, epoch: 99 }), "cleo"],
    ["was changed", (ask: object) => ({ ...ask, data: toBase64url(random(200)) }), "cleo"],
    ["has no signature", (ask: object) => ({ ...ask, signature: "" }), "cleo"],
  ])("that %s is not answered", async (_, spoil, name) => {
    const { server, pages } = noHistory("ada", "bob", "cleo");
    const [, bob, cleo] = pages as [Page, Page, Page];
    await agree(...pages);
    const { view } = cleo.session.state;
    if (view === null) throw new Error("not in the group");
    const publicKey = await publicOf(await newAnswerKey());
    const wanted = [{ group: view.group, epoch: view.epoch }];
    const asOther = name === "bob" ? bob : cleo;
    const ask = await makeAsk(view, asOther.device, { wanted, round: 2, publicKey }, cleo.engine.sign);
    // As it is, from its own device, all others answer it.
    const others = name === "bob" ? [] : pages.filter((page) => page !== cleo);
    server.tell({ type: "seal_ask", device: asOther.device, from: asOther.member, ask: spoil(ask) }, (page) => page !== asOther);
    if (name !== "bob") {
      server.tell({ type: "seal_ask", device: cleo.device, from: "cleo", ask: await makeAsk(view, cleo.device, { wanted, round: 0, publicKey }, cleo.engine.sign) }, (page) => page !== cleo);
      await until(() => gives(server).length >= others.length, () => "answers to the good one");
    }
    await Promise.all(pages.map((page) => page.session.settled()));
    expect(gives(server).length).toBe(others.length);
  });
});
