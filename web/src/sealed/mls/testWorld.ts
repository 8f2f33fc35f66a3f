/** For tests: the library in Node, and a delivery service that is as plain as it can be. */

import { readFileSync } from "node:fs";
import { Core } from "./core";
import { Group, newDevice, type Device } from "./mls";

export const startCore = () => Core.start(readFileSync(new URL("./ting_mls.wasm", import.meta.url)));

export const bytes = (text: string) => new TextEncoder().encode(text);
export const hex = (secret: Uint8Array) => Buffer.from(secret).toString("hex");
export const LINK = bytes("the secret of the link, 32 bytes");

/** One commit per epoch, in order, for whoever asks. */
export class Delivery {
  readonly log: Uint8Array[] = [];
  info = new Uint8Array();

  get epoch() {
    return this.log.length;
  }

  /** Takes the commit that leads out of `epoch`, unless another came first. */
  submit(epoch: number, commit: Uint8Array, info: Uint8Array): boolean {
    if (epoch !== this.epoch) return false;
    this.log.push(commit);
    this.info = new Uint8Array(info);
    return true;
  }
}

let names = 0;

/** A device with a name of its own. */
export function someone(core: Core, identity = `person ${(names += 1)}`): Device {
  return newDevice(core, identity, `device ${(names += 1)}`);
}

/** A room with one member. */
export function room(core: Core) {
  const device = someone(core);
  const group = Group.create(core, device, bytes("room"), LINK, bytes("sealed"));
  const delivery = new Delivery();
  delivery.info = new Uint8Array(group.groupInfo());
  return { device, group, delivery };
}

/** Joins by a commit of its own that the delivery service takes. */
export function join(core: Core, delivery: Delivery, device = someone(core)) {
  const { group, commit } = Group.external(core, device, delivery.info, LINK);
  if (!delivery.submit(delivery.epoch, commit, group.groupInfo())) throw new Error("the commit came late");
  return { device, group, commit };
}

/** Processes what a member has not seen yet. */
export function catchUp(group: Group, delivery: Delivery) {
  for (const commit of delivery.log.slice(group.state().epoch)) {
    if (group.state().isRemoved) return;
    group.process(commit);
  }
}
