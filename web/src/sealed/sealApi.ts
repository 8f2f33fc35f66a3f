/** The server's delivery service for sealed rooms: it orders commits and passes on what it cannot read. Throws `ApiError`. */

import { ApiError, type Ask, asRecord, request, roomUrl, text } from "../lib/api";
import { type Bytes, fromBase64url, toBase64url } from "./bytes";

/** A device that is in the room now. */
export interface Present {
  device: string;
  member: string;
  name: string;
}

/** A wish to be added to the group. */
export interface JoinWish {
  device: string;
  /** As the server says. */
  from: string;
  keyPackage: Bytes;
  proof: Bytes;
}

/** A key package and the proof that its device has the room's link, in base64url. */
export interface AskToJoin {
  key_package: string;
  proof: string;
}

export interface GroupEpoch {
  group: string;
  /** -1: there is no group yet. */
  epoch: number;
}

export interface SealState extends GroupEpoch {
  groupInfo: Bytes;
}

export interface Committed {
  group: string;
  epoch: number;
  commit: Bytes;
}

export interface EpochHistory {
  group: string;
  epoch: number;
  wrap: Bytes;
  secrets: Bytes;
}

export interface NewCommit {
  device: string;
  group: string;
  epoch: number;
  commit: Bytes;
  groupInfo: Bytes;
  /** Empty: nobody is added. */
  welcome: Bytes;
  welcomed: readonly string[];
  history: { wrap: Bytes; secrets: Bytes } | null;
  /** A group that takes the place of this one. */
  newGroup: string | null;
}

const NONE = new Uint8Array(0);
const bytes = (value: unknown): Bytes => fromBase64url(text(value)) ?? NONE;
const whole = (value: unknown): number => (Number.isSafeInteger(value) ? (value as number) : -1);
const list = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value.map(asRecord) : []);

export function toPresent(value: unknown): Present[] {
  return list(value).map((one) => ({ device: text(one.device), member: text(one.member_id), name: text(one.name) }));
}

export const toDevices = (value: unknown): string[] => (Array.isArray(value) ? value.map(text) : []);

export function toGroupEpoch(value: unknown): GroupEpoch {
  const { group, epoch } = asRecord(value);
  return { group: text(group), epoch: whole(epoch) };
}

export function toJoinWish(value: unknown): JoinWish {
  const one = asRecord(value);
  return { device: text(one.device), from: text(one.from), keyPackage: bytes(one.key_package), proof: bytes(one.proof) };
}

export function toCommitted(value: unknown): Committed {
  const one = asRecord(value);
  return { group: text(one.group), epoch: whole(one.epoch), commit: bytes(one.commit) };
}

export class SealApi {
  constructor(
    private readonly room: string,
    private readonly token: (fresh: boolean) => Promise<string>,
    /** Of the room's link, in base64url. */
    private readonly gate: string,
  ) {}

  private async ask(rest: string, ask: Ask = {}) {
    return request(roomUrl(this.room, `/seal${rest}`), { ...ask, token: await this.token(false) });
  }

  async state(): Promise<SealState> {
    const answer = await this.ask("");
    return { ...toGroupEpoch(answer), groupInfo: bytes(answer.group_info) };
  }

  async epoch(): Promise<GroupEpoch> {
    return toGroupEpoch(await this.ask("/epoch"));
  }

  /** The devices that wait to be added, oldest first. */
  async joins(): Promise<JoinWish[]> {
    return list((await this.ask("/joins")).joins).map(toJoinWish);
  }

  async commit(one: NewCommit): Promise<void> {
    const { device, group, epoch, welcomed, history, newGroup } = one;
    await this.ask("/commits", {
      method: "POST",
      body: {
        device,
        gate: this.gate,
        group,
        epoch,
        commit: toBase64url(one.commit),
        group_info: toBase64url(one.groupInfo),
        welcome: toBase64url(one.welcome),
        welcomed,
        history: history && { wrap: toBase64url(history.wrap), secrets: toBase64url(history.secrets) },
        ...(newGroup === null ? {} : { new_group: true, group_id: newGroup }),
      },
    });
  }

  /** Those after `since`, oldest first; `epoch_gone` when they are not kept any more. */
  async commits(group: string, since: number): Promise<{ commits: Committed[]; more: boolean }> {
    const answer = await this.ask(`/commits?group=${encodeURIComponent(group)}&since=${since}`);
    return { commits: list(answer.commits).map((one) => toCommitted({ ...one, group })), more: answer.more === true };
  }

  async join(device: string, ask: AskToJoin): Promise<void> {
    await this.ask("/joins", { method: "POST", body: { device, ...ask } });
  }

  /** What is there of the keys of former epochs, after the `n`th: and up to which one this goes. */
  async history(since: number): Promise<{ epochs: EpochHistory[]; reached: number; more: boolean }> {
    const answer = await this.ask(`/history?since=${since}&limit=500`);
    const epochs = list(answer.epochs);
    return {
      epochs: epochs.map((one) => ({
        group: text(one.group),
        epoch: whole(one.epoch),
        wrap: bytes(one.wrap),
        secrets: bytes(one.secrets),
      })),
      reached: Math.max(since, ...epochs.map((one) => whole(one.n))),
      more: answer.more === true,
    };
  }

  /** What was kept under one's recovery key; null: nothing. */
  async backup(): Promise<Bytes | null> {
    try {
      return fromBase64url(text((await this.ask("/backup")).blob));
    } catch (error) {
      if (error instanceof ApiError && error.code === "not_found") return null;
      throw error;
    }
  }

  async putBackup(blob: Bytes): Promise<void> {
    await this.ask("/backup", { method: "PUT", body: { blob: toBase64url(blob) } });
  }
}
