/**
 * Groups of sealed rooms in the words of RFC 9420, for the worker of the page: no UI, no network, no clock but
 * `Date.now`. The secrets in what `Device`, `KeyPackage` and `save` give belong to the caller, who stores them.
 */

import type { Core } from "./core";
import { type Field, Reader } from "./wire";

/** A device: `identity` is the participant's, `device` tells that person's devices apart. */
export interface Device {
  identity: string;
  /** Drawn anew whenever the signature key is: two keys of one device id are never in a group together. */
  device: string;
  publicKey: Uint8Array;
  /** Secret. */
  secretKey: Uint8Array;
}

/** One leaf of a group. */
export interface Member {
  leaf: number;
  identity: string;
  device: string;
  publicKey: Uint8Array;
}

/** A key package (RFC 9420, 10). It admits its device once. */
export interface KeyPackage {
  /** Its reference, by which a welcome names it. */
  id: Uint8Array;
  /** What is published. */
  message: Uint8Array;
  /** Secret; kept until a welcome spends it. */
  secret: Uint8Array;
}

/** What a commit did. */
export interface Committed {
  kind: "commit";
  /** The epoch that began. */
  epoch: number;
  /** Who made it; null only to a device that it removed and that cannot tell. */
  by: Member | null;
  /** A newcomer's own commit. */
  isExternal: boolean;
  /** This device is not a member any more. */
  isRemoved: boolean;
  added: Member[];
  removed: Member[];
  /** Authenticated, not encrypted. */
  note: Uint8Array;
}

/** What a proposal asks for; someone's next commit carries it out. */
export interface Proposed {
  kind: "proposal";
  /** null: someone who is not a member. */
  by: Member | null;
  /** Whom it would add; `leaf` means nothing yet. */
  adds: Member | null;
  removes: Member | null;
}

export interface Changes {
  /** Messages of key packages. */
  adds?: Uint8Array[];
  /** Leaves. */
  removes?: number[];
  /** What members agree on from then on; absent: as before. */
  agreed?: Uint8Array;
  /** Authenticated, not encrypted. */
  note?: Uint8Array;
}

export interface Commit {
  message: Uint8Array;
  /** For those added; empty where nobody is. */
  welcome: Uint8Array;
}

export interface Header {
  kind: "welcome" | "group info" | "key package" | "commit" | "proposal";
  /** Empty where the message names none. */
  group: Uint8Array;
  epoch: number;
}

/** The numbers of `sealed/core/src/calls.rs`. */
const calls = {
  device: 1, keyPackage: 2, create: 3, welcome: 4, external: 5, commit: 6, apply: 7, discard: 8, proposeRemoval: 9,
  process: 10, exporter: 11, authenticator: 12, members: 13, groupInfo: 14, state: 15, save: 16, restore: 17,
  forget: 18, setLink: 19, link: 20, read: 21,
} as const;

const NOTHING = new Uint8Array();
/** Between identity and device id in a basic credential; neither contains it. */
const BETWEEN = "\0";

const nowSeconds = () => Math.floor(Date.now() / 1000);

function credential(identity: string, device: string): string {
  if (identity.includes(BETWEEN) || device.includes(BETWEEN)) throw new TypeError("a name with a NUL");
  return identity + BETWEEN + device;
}

const leafOf = (device: Device): Field[] => [
  credential(device.identity, device.device),
  device.publicKey,
  device.secretKey,
];

function readMember(reader: Reader): Member {
  const leaf = reader.number();
  const [identity = "", device = ""] = reader.text().split(BETWEEN);
  return { leaf, identity, device, publicKey: reader.bytes() };
}

const readMembers = (reader: Reader) => reader.list(readMember);

function readEvent(answer: Uint8Array): Committed | Proposed {
  const reader = new Reader(answer);
  if (reader.text() === "proposal") {
    const [by, adds, removes] = [readMembers(reader), readMembers(reader), readMembers(reader)];
    return { kind: "proposal", by: by[0] ?? null, adds: adds[0] ?? null, removes: removes[0] ?? null };
  }
  const [epoch, isExternal, isRemoved] = [reader.number(), reader.number() === 1, reader.number() === 1];
  const [by, added, removed] = [readMembers(reader), readMembers(reader), readMembers(reader)];
  return { kind: "commit", epoch, isExternal, isRemoved, by: by[0] ?? null, added, removed, note: reader.bytes() };
}

/** One device's membership in one group. What fails throws MlsError and changes nothing. */
export class Group {
  private constructor(
    private readonly core: Core,
    private readonly handle: number,
  ) {}

  /** Creates a group of one. `link` is the secret of the room's link, `agreed` what members agree on. */
  static create(core: Core, device: Device, id: Uint8Array, link: Uint8Array, agreed: Uint8Array): Group {
    const answer = core.call(calls.create, ...leafOf(device), id, link, agreed, nowSeconds());
    return new Group(core, new Reader(answer).number());
  }

  /** Joins by a welcome; `spent` is the id of the key package whose secret is to be deleted now. */
  static welcome(core: Core, device: Device, welcome: Uint8Array, secrets: Uint8Array[]) {
    const reader = new Reader(core.call(calls.welcome, ...leafOf(device), welcome, secrets));
    return { group: new Group(core, reader.number()), spent: reader.bytes() };
  }

  /**
   * Joins by a commit of its own, in place of this device's former leaf if there is one. The group counts when the
   * delivery service has accepted the commit; else it is to be forgotten and joined anew.
   */
  static external(core: Core, device: Device, groupInfo: Uint8Array, link: Uint8Array) {
    const answer = core.call(calls.external, ...leafOf(device), groupInfo, NOTHING, link, nowSeconds());
    const reader = new Reader(answer);
    return { group: new Group(core, reader.number()), commit: reader.bytes() };
  }

  /** What `save` gave. */
  static restore(core: Core, saved: Uint8Array): Group {
    return new Group(core, new Reader(core.call(calls.restore, saved)).number());
  }

  /**
   * Prepares one commit; it counts by `apply` or when its echo is processed. Until then, or `discard`, no other is
   * prepared (`bad_call`): the echo of a commit that was forgotten could not be followed.
   */
  commit({ adds = [], removes = [], agreed, note = NOTHING }: Changes = {}): Commit {
    const about = agreed === undefined ? [] : [agreed];
    const reader = new Reader(this.core.call(calls.commit, this.handle, nowSeconds(), adds, removes, about, note));
    return { message: reader.bytes(), welcome: reader.bytes() };
  }

  /** The prepared commit was accepted. */
  apply(): Committed {
    return readEvent(this.core.call(calls.apply, this.handle)) as Committed;
  }

  /** The prepared commit was certainly not accepted. */
  discard(): void {
    this.core.call(calls.discard, this.handle);
  }

  /** A proposal to remove a leaf; one's own says goodbye. */
  proposeRemoval(leaf: number): Uint8Array {
    return this.core.call(calls.proposeRemoval, this.handle, leaf);
  }

  /** Processes a commit (own ones included) or a proposal, and tells who did what. */
  process(message: Uint8Array): Committed | Proposed {
    return readEvent(this.core.call(calls.process, this.handle, nowSeconds(), message));
  }

  /** A secret of this epoch for one purpose (RFC 9420, 8.5). */
  exporter(label: string, context: Uint8Array, length: number): Uint8Array {
    return this.core.call(calls.exporter, this.handle, label, context, length);
  }

  /** Equal for all members of an epoch, and for nobody else: what the room's code is made from (RFC 9420, 8.7). */
  authenticator(): Uint8Array {
    return this.core.call(calls.authenticator, this.handle);
  }

  members(): Member[] {
    return readMembers(new Reader(this.core.call(calls.members, this.handle)));
  }

  /** What a newcomer needs to join in this epoch, the ratchet tree included. */
  groupInfo(): Uint8Array {
    return this.core.call(calls.groupInfo, this.handle);
  }

  state() {
    const reader = new Reader(this.core.call(calls.state, this.handle));
    const [id, epoch, leaf] = [reader.bytes(), reader.number(), reader.number()];
    return { id, epoch, leaf, isRemoved: reader.number() === 1, agreed: reader.bytes() };
  }

  /** The secret of the room's link; empty where this device does not know it. */
  get link(): Uint8Array {
    return this.core.call(calls.link, this.handle);
  }

  set link(secret: Uint8Array) {
    this.core.call(calls.setLink, this.handle, secret);
  }

  /** Everything of this membership as bytes, the prepared commit included, former epochs not. Secret. */
  save(): Uint8Array {
    return this.core.call(calls.save, this.handle);
  }

  /** Wipes this membership from the library's memory; the object is of no use after it. */
  forget(): void {
    this.core.call(calls.forget, this.handle);
  }
}

/** Draws a signature key for a device. */
export function newDevice(core: Core, identity: string, device: string): Device {
  const reader = new Reader(core.call(calls.device, credential(identity, device)));
  return { identity, device, publicKey: reader.bytes(), secretKey: reader.bytes() };
}

export function newKeyPackage(core: Core, device: Device): KeyPackage {
  const reader = new Reader(core.call(calls.keyPackage, ...leafOf(device), nowSeconds()));
  return { id: reader.bytes(), message: reader.bytes(), secret: reader.bytes() };
}

/** What a message says of itself, unverified. */
export function readHeader(core: Core, message: Uint8Array): Header {
  const reader = new Reader(core.call(calls.read, message));
  return { kind: reader.text() as Header["kind"], group: reader.bytes(), epoch: reader.number() };
}
