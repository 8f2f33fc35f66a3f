/**
 * Messages between the pages of a call that are not kept: data packets of one topic, sealed in sealed rooms. They come
 * in the order in which each of the others sent them, and none of them twice.
 */

import { type RemoteParticipant, type Room, RoomEvent } from "livekit-client";
import { asRecord } from "../lib/api";
import { type Bytes, fromUtf8, utf8 } from "../sealed/bytes";
import type { LiveSeal } from "../sealed/liveSeal";

export interface Channel {
  /** To everybody, or to one of them by identity. False: there is no connection, or no key yet. */
  send: (message: object, to?: string) => Promise<boolean>;
  close: () => void;
}

const MAX_BYTES = 60_000;

/** `seal` is null in an open room. `hear` gets what parsed as JSON, and looks it over. */
export function openChannel(room: Room, topic: string, seal: LiveSeal | null, hear: (from: RemoteParticipant, message: unknown) => void): Channel {
  let sending: Promise<unknown> = Promise.resolve();
  let hearing: Promise<void> = Promise.resolve();
  let lastSent = 0;
  const heard = new Map<string, number>();

  const read = async (payload: Bytes, from: RemoteParticipant): Promise<void> => {
    const plain = seal === null ? payload : await seal.open(topic, from.identity, payload);
    if (plain === null) return;
    try {
      const { n, message } = asRecord(JSON.parse(fromUtf8(plain)));
      if (!Number.isSafeInteger(n) || (n as number) <= (heard.get(from.sid) ?? 0)) return;
      heard.set(from.sid, n as number);
      hear(from, message);
    } catch {
      // Not ours.
    }
  };
  const onData = (payload: Uint8Array, from?: RemoteParticipant, _kind?: unknown, its?: string): void => {
    if (from === undefined || its !== topic || payload.length > MAX_BYTES) return;
    // Opening takes longer for one than for another: they still come one after the other.
    hearing = hearing.then(() => read(new Uint8Array(payload), from));
  };
  const onLeft = ({ sid }: RemoteParticipant): void => {
    heard.delete(sid);
  };
  room.on(RoomEvent.DataReceived, onData).on(RoomEvent.ParticipantDisconnected, onLeft);

  const write = async (message: object, to?: string): Promise<boolean> => {
    lastSent = Math.max(lastSent + 1, Date.now());
    const plain = utf8(JSON.stringify({ n: lastSent, message }));
    const me = room.localParticipant;
    const payload = seal === null ? plain : await seal.seal(topic, me.identity, plain);
    if (payload === null) return false;
    await me.publishData(payload, { reliable: true, topic, ...(to === undefined ? {} : { destinationIdentities: [to] }) });
    return true;
  };
  return {
    send: (message, to) => {
      const sent = sending.then(() => write(message, to)).catch(() => false);
      sending = sent;
      return sent;
    },
    close: () => {
      room.off(RoomEvent.DataReceived, onData).off(RoomEvent.ParticipantDisconnected, onLeft);
    },
  };
}
