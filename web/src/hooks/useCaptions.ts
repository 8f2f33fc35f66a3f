import { type Participant, ParticipantKind, type Room, RoomEvent, type TranscriptionSegment } from "livekit-client";
import { useEffect, useState } from "react";
import { type Caption, Captions, TRANSCRIPTION } from "../lib/captions";
import { displayName } from "../lib/people";

/** What is said in a call, as far as somebody sends it as text. */
export function useCaptions(room: Room, on: boolean): Captions["lines"] {
  const [lines, setLines] = useState<Captions["lines"]>([]);
  useEffect(() => {
    if (!on) return;
    const captions = new Captions();
    let timer = 0;
    const show = () => {
      window.clearTimeout(timer);
      const nextMs = captions.expire(performance.now());
      setLines(captions.lines);
      if (nextMs !== null) timer = window.setTimeout(show, nextMs);
    };
    const stop = listen(room, (caption) => {
      captions.put(caption, performance.now());
      show();
    });
    return () => {
      stop();
      window.clearTimeout(timer);
      setLines([]);
    };
  }, [room, on]);
  return lines;
}

function listen(room: Room, tell: (caption: Caption) => void): () => void {
  const onPacket = (segments: TranscriptionSegment[], speaker?: Participant) => {
    if (speaker === undefined) return;
    for (const { id, text, final } of segments) {
      tell({ id, speaker: speaker.identity, name: displayName(speaker), text, final });
    }
  };
  room.on(RoomEvent.TranscriptionReceived, onPacket);
  room.registerTextStreamHandler(TRANSCRIPTION.topic, (reader, { identity }) => {
    const { id, attributes = {} } = reader.info;
    const sender = room.remoteParticipants.get(identity);
    const speaker = speakerOf(room, sender, attributes[TRANSCRIPTION.track]) ?? { identity };
    const caption = { id: attributes[TRANSCRIPTION.segment] ?? id, speaker: speaker.identity, name: displayName(speaker) };
    const read = async () => {
      let text = "";
      for await (const piece of reader) {
        text += piece;
        tell({ ...caption, text, final: false });
      }
      tell({ ...caption, text, final: attributes[TRANSCRIPTION.final] !== "false" });
    };
    // Too long, or the sender left half-way: what has come is shown.
    read().catch(() => undefined);
  });
  return () => {
    room.off(RoomEvent.TranscriptionReceived, onPacket);
    room.unregisterTextStreamHandler(TRANSCRIPTION.topic);
  };
}

/** Programs write down what others say; a person puts no words into another's mouth. */
function speakerOf(room: Room, sender: Participant | undefined, track: string | undefined): Participant | undefined {
  if (sender?.kind !== ParticipantKind.AGENT || track === undefined) return sender;
  const people = [room.localParticipant, ...room.remoteParticipants.values()];
  return people.find((one) => one.trackPublications.has(track)) ?? sender;
}
