/** What a sealed room needs of MLS (RFC 9420), in the room's words. One object is one device in one group. */

import type { Bytes } from "./bytes";

/** A device in the group. */
export interface Leaf {
  index: number;
  /** A member id, as the device says it. */
  member: string;
  device: string;
  /** Of this device for as long as its browser keeps it: what people verify. */
  signatureKey: string;
}

/** The group at one epoch, as one of its members sees it. */
export interface View {
  group: string;
  epoch: number;
  members: readonly Leaf[];
  /** One's own leaf. */
  own: number;
  /** Of the exporter of this epoch (RFC 9420, section 8.5). */
  chatKey: Bytes;
  mediaSecret: Bytes;
  historySecret: Bytes;
  askKey: Bytes;
  /** 36 bytes: `digitsOf`, `picturesOf`. */
  code: Bytes;
}

/** A commit that the server has not taken yet, and what the group will be if it does. */
export interface Proposed {
  /** Empty: a new group. */
  commit: Bytes;
  /** Empty: nobody is added. */
  welcome: Bytes;
  groupInfo: Bytes;
  next: View;
}

/** Everything throws for what is not valid here. */
export interface Engine {
  /** A new one; the one before is of no use any more. */
  keyPackage: () => Promise<Bytes>;
  /** A new group with this device alone. */
  create: (group: string) => Promise<Proposed>;
  /** Into the group of a welcome; null: it is not for this device's key package. */
  join: (welcome: Bytes) => Promise<View | null>;
  /** Into a group without anybody's help, in the place of this device's former leaf (RFC 9420, section 12.4.3.2). */
  joinExternally: (groupInfo: Bytes) => Promise<Proposed>;
  /** What was proposed before and not accepted is given up. */
  propose: (add: readonly Bytes[], remove: readonly number[]) => Promise<Proposed>;
  /** The server took what was proposed last. */
  accept: () => Promise<View>;
  /** A commit that the server took, one's own perhaps. Null: it removes this device. */
  process: (commit: Bytes) => Promise<View | null>;
  /** By the device's signature key (Ed25519). */
  sign: (data: Bytes) => Promise<Bytes>;
  close: () => void;
}
