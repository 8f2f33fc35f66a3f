/** A sealed room as this page has it: the group, its keys, and the log that they open. */

import { keptLinkSecret } from "../lib/keys";
import type { RoomApi } from "../log/rest";
import type { Message, SyncOptions } from "../log/sync";
import { toBase64url } from "./bytes";
import { SealedRoomApi } from "./sealedApi";
import { SealedFiles } from "./sealedFiles";
import { KeyAsks } from "./keyAsks";
import { KeyRing } from "./keyRing";
import { linkKeys } from "./linkSecret";
import { LiveSeal } from "./liveSeal";
import { LogSeal } from "./logSeal";
import { createEngine } from "./mlsEngine";
import { SealApi } from "./sealApi";
import { SealedSync } from "./sealedSync";
import { Recovery } from "./recovery";
import { SealedSession } from "./session";
import { RINGS } from "./store";
import { Verified } from "./verified";

interface Options {
  room: string;
  /** A member id. */
  me: string;
  token: (fresh: boolean) => Promise<string>;
}

export class SealedRoom {
  /** Whether those who come later read what was said before; the room's policy says it. */
  sharesHistory = true;
  private sync: SealedSync | null = null;

  private constructor(
    private readonly room: string,
    readonly session: SealedSession,
    readonly seal: LogSeal,
    readonly packets: LiveSeal,
    readonly ring: KeyRing,
    readonly files: SealedFiles,
    readonly verified: Verified,
    readonly recovery: Recovery,
    readonly asks: KeyAsks,
    private readonly device: string,
  ) {}

  /** Throws `TypeError` without the secret of the room's link. */
  static async open({ room, me, token }: Options): Promise<SealedRoom> {
    const link = await linkKeys(keptLinkSecret(room) ?? "");
    const ring = new KeyRing(room, RINGS);
    const verified = new Verified(room);
    const loaded = Promise.all([ring.load(), verified.load()]);
    loaded.catch(() => undefined); // It is told below, when there is an engine to close.
    const { engine, device } = await createEngine({ room, member: me, psk: link.psk });
    const api = new SealApi(room, token, toBase64url(link.gate));
    const opened: { room: SealedRoom | null } = { room: null };
    const sharesHistory = () => opened.room?.sharesHistory ?? true;
    const session = new SealedSession({ device, me, engine, api, link, ring, sharesHistory });
    const current = () => {
      const { view } = session.state;
      return view === null ? null : { group: view.group, epoch: view.epoch, key: view.chatKey };
    };
    const seal = new LogSeal(ring, current, () => me);
    const send = (message: Message) => opened.room?.sync?.tell(message);
    const asks = new KeyAsks({ device, session, seal, ring, engine, send, sharesHistory });
    const recovery = new Recovery(room, ring, api);
    await Promise.all([loaded, recovery.start()]).catch((error: unknown) => {
      engine.close();
      throw error;
    });
    opened.room = new SealedRoom(room, session, seal, new LiveSeal(ring, current), ring, new SealedFiles(room, token), verified, recovery, asks, device);
    return opened.room;
  }

  /** For the room's log. */
  readonly connect = (options: SyncOptions): SealedSync => {
    this.sync = new SealedSync(options, {
      seal: this.seal,
      device: this.device,
      wish: this.session.wish,
      onNews: (message) => {
        this.session.hear(message);
        this.asks.hear(message);
      },
      onOnline: this.session.handleOnline,
    });
    return this.sync;
  };

  api(token: () => string | null): RoomApi {
    return new SealedRoomApi(this.room, token, this.seal);
  }

  close(): void {
    this.recovery.close();
    this.asks.close();
    this.seal.close();
    this.session.close();
  }
}
