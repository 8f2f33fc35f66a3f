import type { Room } from "livekit-client";
import { useCallback, useEffect, useState } from "react";
import { appendMessage, cleanMessage, type ChatMessage } from "../lib/chat";
import { displayName } from "../lib/people";

/** The topic of chat in the LiveKit protocol: a text stream over the reliable data channel. */
const TOPIC = "lk.chat";

export interface Chat {
  messages: readonly ChatMessage[];
  /** How many messages of others have arrived, including those no longer kept. */
  received: number;
  /** Throws when the message could not be handed to the data channel. */
  send: (text: string) => Promise<void>;
}

/** With `elsewhere` the chat is the room's log, and what comes as a stream is there already. */
export function useChat(room: Room, elsewhere: boolean): Chat {
  const [log, setLog] = useState<{ messages: readonly ChatMessage[]; received: number }>({ messages: [], received: 0 });

  useEffect(() => {
    room.registerTextStreamHandler(TOPIC, (reader, { identity }) => {
      if (elsewhere) return;
      reader.readAll().then(
        (raw) => {
          const text = cleanMessage(raw);
          if (text === "") return;
          const name = displayName(room.remoteParticipants.get(identity) ?? { identity });
          const message = { id: reader.info.id, identity, name, text, atMs: Date.now(), own: false };
          setLog((old) => ({ messages: appendMessage(old.messages, message), received: old.received + 1 }));
        },
        () => undefined, // Too long, or the sender left half-way: nothing to show.
      );
    });
    return () => {
      room.unregisterTextStreamHandler(TOPIC);
    };
  }, [room, elsewhere]);

  const send = useCallback(
    async (raw: string) => {
      const text = cleanMessage(raw);
      if (text === "") return;
      const me = room.localParticipant;
      const info = await me.sendText(text, { topic: TOPIC });
      const message = { id: info.id, identity: me.identity, name: displayName(me), text, atMs: Date.now(), own: true };
      setLog((old) => ({ ...old, messages: appendMessage(old.messages, message) }));
    },
    [room],
  );

  return { ...log, send };
}
