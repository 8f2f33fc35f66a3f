/** A device's part in a group, on top of the MLS library: what `Engine` promises, without waiting. */

import { type Bytes, fromBase64url, toBase64url } from "./bytes";
import { CODE_BYTES } from "./code";
import type { Proposed, View } from "./engine";
import type { Core } from "./mls/core";
import { MlsError } from "./mls/errors";
import { type Device, Group, type KeyPackage, newKeyPackage } from "./mls/mls";

const NOTHING: Bytes = new Uint8Array(0);
const SECRET_BYTES = 32;

const own = (bytes: Uint8Array): Bytes => new Uint8Array(bytes);

export class MlsDevice {
  /** Null: not in a group. */
  private group: Group | null = null;
  /** The group as it will be when the server takes what was proposed. */
  private proposed: Group | null = null;
  private readonly packages: KeyPackage[] = [];

  /** `psk` is derived from the room's link (RFC 9420, section 8.4). */
  constructor(
    private readonly core: Core,
    private readonly device: Device,
    private readonly psk: Bytes,
  ) {}

  keyPackage(): Bytes {
    const made = newKeyPackage(this.core, this.device);
    // A welcome for the one before may be on its way.
    this.packages.splice(0, Math.max(0, this.packages.length - 1));
    this.packages.push(made);
    return own(made.message);
  }

  create(group: string): Proposed {
    const id = fromBase64url(group);
    if (id === null) throw new TypeError("a group's id is base64url");
    return this.prepared(Group.create(this.core, this.device, id, this.psk, NOTHING), NOTHING, NOTHING);
  }

  join(welcome: Bytes): View | null {
    if (this.packages.length === 0) return null;
    let joined: Group;
    try {
      joined = Group.welcome(this.core, this.device, welcome, this.packages.map(({ secret }) => secret)).group;
    } catch (error) {
      if (error instanceof MlsError && error.failure !== "bad_call") return null;
      throw error;
    }
    this.packages.length = 0;
    // A welcome brings the sender's; ours is the one of the link.
    joined.link = this.psk;
    return this.become(joined);
  }

  joinExternally(groupInfo: Bytes): Proposed {
    const { group, commit } = Group.external(this.core, this.device, groupInfo, this.psk);
    return this.prepared(group, own(commit), NOTHING);
  }

  propose(add: readonly Bytes[], remove: readonly number[]): Proposed {
    const group = this.require();
    this.giveUp();
    const next = Group.restore(this.core, group.save());
    try {
      const { message, welcome } = next.commit({ adds: [...add], removes: [...remove] });
      next.apply();
      return this.prepared(next, own(message), own(welcome));
    } catch (error) {
      next.forget();
      throw error;
    }
  }

  accept(): View {
    const { proposed } = this;
    if (proposed === null) throw new Error("nothing was proposed");
    this.proposed = null;
    return this.become(proposed);
  }

  process(commit: Bytes): View | null {
    const group = this.require();
    const event = group.process(commit);
    this.giveUp();
    if (event.kind !== "commit") throw new Error("not a commit");
    if (!event.isRemoved) return viewOf(group);
    group.forget();
    this.group = null;
    return null;
  }

  async sign(data: Bytes): Promise<Bytes> {
    const { publicKey, secretKey } = this.device;
    const [x, d] = [toBase64url(publicKey), toBase64url(secretKey.subarray(0, SECRET_BYTES))];
    const key = await crypto.subtle.importKey("jwk", { kty: "OKP", crv: "Ed25519", x, d }, "Ed25519", false, ["sign"]);
    return new Uint8Array(await crypto.subtle.sign("Ed25519", key, data));
  }

  private require(): Group {
    if (this.group === null) throw new Error("not in a group");
    return this.group;
  }

  private prepared(next: Group, commit: Bytes, welcome: Bytes): Proposed {
    this.giveUp();
    this.proposed = next;
    return { commit, welcome, groupInfo: own(next.groupInfo()), next: viewOf(next) };
  }

  private giveUp(): void {
    this.proposed?.forget();
    this.proposed = null;
  }

  private become(group: Group): View {
    this.group?.forget();
    this.group = group;
    return viewOf(group);
  }
}

function viewOf(group: Group): View {
  const { id, epoch, leaf } = group.state();
  const secret = (label: string, length = SECRET_BYTES) => own(group.exporter(label, NOTHING, length));
  return {
    group: toBase64url(id),
    epoch,
    own: leaf,
    members: group.members().map(({ leaf: index, identity, device, publicKey }) => ({
      index,
      member: identity,
      device,
      signatureKey: toBase64url(publicKey),
    })),
    chatKey: secret("ting chat"),
    mediaSecret: secret("ting media"),
    historySecret: secret("ting history"),
    askKey: secret("ting ask"),
    code: secret("ting code", CODE_BYTES),
  };
}
