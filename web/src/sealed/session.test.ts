import { afterEach, describe, expect, it } from "vitest";
import { type Bytes, random, toBase64url } from "./bytes";
import { readEpochs } from "./history";
import { linkKeys } from "./linkSecret";
import { newDevice } from "./mls/mls";
import { agree, closeAll, core, link, Page, room, Server, until } from "./testRoom";

afterEach(closeAll);

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
    await until(() => late.ring.find(server.group, was) !== null, () => "the key of before");
  });

  it.each([true, false])("renews the history secret once when somebody is put out, who was in the group: %s", { timeout: 60_000 }, async (wasIn) => {
    const { server, pages } = room("ada", "bob", "cleo", "dan");
    const stayed = pages.slice(0, 3);
    const [, , , dan] = pages as [Page, Page, Page, Page];
    await agree(...pages);
    if (!wasIn) {
      server.go(dan);
      await agree(...stayed);
    }
    const was = server.epoch;
    for (const page of stayed) page.session.handlePutOut("dan");
    if (wasIn) server.go(dan);
    await until(() => server.epoch > was, () => "a new epoch");
    await agree(...stayed);
    // Longer than all turns of those who would do it again.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await agree(...stayed);
    expect(server.epoch).toBe(was + 1);
  });

  it("keeps from who was put out what somebody says who has nothing but the link", { timeout: 60_000 }, async () => {
    const { server, pages } = room("ada", "bob");
    const [ada, bob] = pages as [Page, Page];
    await agree(ada, bob);
    server.go(bob);
    ada.session.handlePutOut("bob");
    await agree(ada);
    server.go(ada);
    const late = new Page(server, "cleo");
    server.come(late);
    await agree(late);
    await late.say("among us");
    const said = server.epoch;
    // With everything that he has, and all that the server keeps.
    bob.ring.add(await readEpochs(bob.ring, server.history));
    expect([said, bob.ring.find(server.group, said)]).toEqual([server.history.at(-1)?.epoch, null]);
    // The others read it as before.
    server.come(ada);
    await until(() => ada.line(1) === "among us", () => String(ada));
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
    await until(() => stranger.session.state.problem !== null, () => "the stranger is told");
    expect(stranger.session.state.problem).toBe("link");
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
    await until(() => liar.session.state.view !== null, () => "bob gets in, by his own commit and name");
    expect(pages[0]?.session.state.view?.members.map(({ member }) => member)).not.toContain("cleo");
  });

  it("puts out a leaf that came by its own commit with the name of somebody else", { timeout: 60_000 }, async () => {
    const { server, pages } = room("ada", "bob");
    await agree(...pages);
    const liar = new Page(server, "mallory", link, true, newDevice(core, "ada", toBase64url(random(16))));
    // The server knows whose the device is.
    server.tell({ type: "seal_changed", came: [{ device: liar.device, member_id: "mallory" }], left: [] });
    server.pages.add(liar);
    server.greet(liar, [liar.present]);
    await until(() => liar.session.state.view !== null, () => String(liar));
    liar.close();
    server.pages.delete(liar);
    await agree(...pages);
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
    await until(() => spoilt > 0, () => "a commit was spoilt");
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
