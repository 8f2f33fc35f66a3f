import { beforeAll, describe, expect, it } from "vitest";
import type { Core } from "./core";
import { MlsError, type MlsFailure } from "./errors";
import { type Device, Group, newKeyPackage, readHeader } from "./mls";
import { bytes, catchUp, hex, join, LINK, room, someone, startCore } from "./testWorld";

let core: Core;

beforeAll(async () => {
  core = await startCore();
});

function failure(act: () => unknown): MlsFailure | null {
  try {
    act();
  } catch (error) {
    if (error instanceof MlsError) return error.failure;
    throw error;
  }
  return null;
}

describe("joining", () => {
  it("by a commit of one's own: all have the same secrets, and it shows who came", () => {
    const { group, delivery, device } = room(core);
    const bob = join(core, delivery);
    const event = group.process(bob.commit);
    expect(event).toMatchObject({ kind: "commit", epoch: 1, isExternal: true, isRemoved: false, removed: [] });
    expect(event).toMatchObject({ by: { leaf: 1, ...seen(bob.device) }, added: [{ leaf: 1, ...seen(bob.device) }] });
    expect(hex(group.authenticator())).toBe(hex(bob.group.authenticator()));
    expect(hex(group.exporter("ting media", bytes("x"), 16))).toBe(hex(bob.group.exporter("ting media", bytes("x"), 16)));
    expect(bob.group.members()).toEqual([
      { leaf: 0, ...seen(device) },
      { leaf: 1, ...seen(bob.device) },
    ]);
  });

  it("by welcome, several in one commit, each with the link's secret and what members agree on", () => {
    const { group } = room(core);
    const devices = [someone(core), someone(core), someone(core)];
    const packages = devices.map((device) => newKeyPackage(core, device));
    const commit = group.commit({ adds: packages.map((made) => made.message), note: bytes("three at once") });
    expect(group.apply()).toMatchObject({ added: devices.map(shown), note: bytes("three at once") });
    devices.forEach((device, at) => {
      const own = packages[at];
      if (own === undefined) throw new Error("no package");
      const { group: added, spent } = Group.welcome(core, device, commit.welcome, [own.secret]);
      expect(hex(spent)).toBe(hex(own.id));
      expect(hex(added.link)).toBe(hex(LINK));
      expect(added.state()).toMatchObject({ epoch: 1, leaf: at + 1, agreed: bytes("sealed") });
      expect(hex(added.authenticator())).toBe(hex(group.authenticator()));
    });
  });

  it("needs the link's secret: members refuse who has none or another", () => {
    const { group, delivery } = room(core);
    expect(failure(() => Group.external(core, someone(core), delivery.info, new Uint8Array()))).toBe("no_link");
    const stranger = Group.external(core, someone(core), delivery.info, bytes("guessed"));
    expect(failure(() => group.process(stranger.commit))).toBe("bad_message");
    expect(group.state().epoch).toBe(0);
    expect(hex(group.authenticator())).not.toBe(hex(stranger.group.authenticator()));
  });

  it("again after the state was lost: the old leaf goes", () => {
    const { group, delivery } = room(core);
    const bob = join(core, delivery);
    group.process(bob.commit);
    const again = join(core, delivery, bob.device);
    expect(group.process(again.commit)).toMatchObject({ isExternal: true });
    expect(group.members()).toHaveLength(2);
    expect(bob.group.process(again.commit)).toMatchObject({ isRemoved: true });
    expect(hex(group.authenticator())).toBe(hex(again.group.authenticator()));
  });

  it("does not read what was before, nor after it left", () => {
    const { group, delivery } = room(core);
    const before = hex(group.exporter("ting media", bytes("x"), 16));
    const bob = join(core, delivery);
    group.process(bob.commit);
    const during = hex(bob.group.exporter("ting media", bytes("x"), 16));
    const commit = group.commit({ removes: [1] });
    group.apply();
    expect(bob.group.process(commit.message)).toMatchObject({ isRemoved: true, removed: [shown(bob.device)] });
    const after = hex(group.exporter("ting media", bytes("x"), 16));
    expect(new Set([before, during, after]).size).toBe(3);
    expect(failure(() => bob.group.exporter("ting media", bytes("x"), 16))).toBe("not_member");
    expect(failure(() => bob.group.commit())).toBe("not_member");
  });
});

describe("commits", () => {
  it("of two at once one is dropped and made anew", () => {
    const { group, delivery } = room(core);
    const bob = join(core, delivery);
    catchUp(group, delivery);
    const [first, second] = [group.commit(), bob.group.commit()];
    expect(hex(first.message)).not.toBe(hex(second.message));
    bob.group.process(first.message);
    expect(failure(() => bob.group.apply())).toBe("bad_call");
    expect(failure(() => group.commit())).toBe("bad_call");
    group.process(first.message);
    expect(hex(group.authenticator())).toBe(hex(bob.group.authenticator()));
    expect(failure(() => group.process(second.message))).toBe("stale_epoch");
  });

  it("say which epoch and group they are for", () => {
    const { group, delivery } = room(core);
    const bob = join(core, delivery);
    catchUp(group, delivery);
    group.commit();
    group.apply();
    const ahead = group.commit({ agreed: bytes("open") });
    expect(readHeader(core, ahead.message)).toEqual({ kind: "commit", group: bytes("room"), epoch: 2 });
    expect(failure(() => bob.group.process(ahead.message))).toBe("future_epoch");
    const elsewhere = Group.create(core, someone(core), bytes("elsewhere"), LINK, bytes("sealed"));
    expect(failure(() => elsewhere.process(ahead.message))).toBe("unknown_group");
    group.apply();
    expect(group.state().agreed).toEqual(bytes("open"));
  });

  it("carry out goodbyes", () => {
    const { group, delivery } = room(core);
    const bob = join(core, delivery);
    catchUp(group, delivery);
    const goodbye = bob.group.proposeRemoval(1);
    expect(readHeader(core, goodbye).kind).toBe("proposal");
    expect(group.process(goodbye)).toMatchObject({ kind: "proposal", by: shown(bob.device), removes: shown(bob.device) });
    const commit = group.commit();
    group.apply();
    expect(bob.group.process(commit.message)).toMatchObject({ isRemoved: true, by: { leaf: 0 } });
    expect(group.members()).toHaveLength(1);
  });

  it("survive a crash between sending and hearing", () => {
    const { group, delivery } = room(core);
    const bob = join(core, delivery);
    catchUp(group, delivery);
    const commit = group.commit();
    const saved = group.save();
    group.forget();
    expect(failure(() => group.authenticator())).toBe("unknown_group");
    const restored = Group.restore(core, saved);
    restored.process(commit.message);
    bob.group.process(commit.message);
    expect(hex(restored.authenticator())).toBe(hex(bob.group.authenticator()));
    expect(hex(restored.link)).toBe(hex(LINK));
  });

  it("when damaged are refused, and the next good one counts", () => {
    const { group, delivery } = room(core);
    const bob = join(core, delivery);
    catchUp(group, delivery);
    const { message } = group.commit();
    group.apply();
    for (let at = 0; at < message.length; at += 7) {
      const damaged = message.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x20;
      expect(failure(() => bob.group.process(damaged))).not.toBeNull();
    }
    bob.group.process(message);
    expect(hex(group.authenticator())).toBe(hex(bob.group.authenticator()));
  });
});

it("a saved state that is damaged or of another version is refused", () => {
  const saved = room(core).group.save();
  expect(failure(() => Group.restore(core, saved.subarray(0, 40)))).toBe("bad_call");
  saved[4] = 9;
  expect(failure(() => Group.restore(core, saved))).toBe("bad_message");
});

it("names with a NUL are no names", () => {
  expect(() => someone(core, "ada\0mallory")).toThrow(TypeError);
});

const seen = ({ identity, device, publicKey }: Device) => ({ identity, device, publicKey });

const shown = (device: Device) => expect.objectContaining(seen(device)) as Device;
