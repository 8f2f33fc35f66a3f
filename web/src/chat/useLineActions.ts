import { useMemo } from "react";
import { reaches, text } from "../lib/api";
import type { RoomFiles } from "../files/roomFiles";
import type { ShownLine } from "../log/fold";
import type { RoomSnapshot } from "../log/roomState";
import type { RoomLive } from "../room/RoomLive";
import type { Intent } from "./draft";

/** What can be done with a line of the log; the server decides whether it may be. */
export interface LineActions {
  me: string;
  moderates: boolean;
  files: RoomFiles;
  react: (line: ShownLine, emoji: string) => void;
  reply: (line: ShownLine) => void;
  edit: (line: ShownLine) => void;
  remove: (line: ShownLine) => void;
  pin: (line: ShownLine) => void;
  writeTo: (line: ShownLine) => void;
  vote: (line: ShownLine, choices: number[]) => void;
  closePoll: (line: ShownLine) => void;
  retry: (clientId: string) => void;
  discard: (clientId: string) => void;
}

export function useLineActions(live: RoomLive, state: RoomSnapshot, onIntent: (intent: Intent) => void): LineActions {
  const { log, files } = live;
  const { me } = state;
  const moderates = reaches(state.role, "moderator");
  return useMemo(
    () => ({
      me,
      moderates,
      files,
      react: (line, emoji) => {
        const mine = line.reactions.find((one) => one.emoji === emoji)?.members.includes(me) === true;
        log.write({ verb: "react", target: line.entry.seq, body: { emoji, on: !mine } });
      },
      reply: (line) => {
        onIntent({ kind: "reply", line });
      },
      edit: (line) => {
        onIntent({ kind: "edit", line });
      },
      remove: (line) => {
        log.write({ verb: "delete", target: line.entry.seq, body: {} });
      },
      pin: (line) => {
        log.write({ verb: "pin", target: line.entry.seq, body: { on: !line.pinned } });
      },
      writeTo: ({ entry }) => {
        onIntent({ kind: "private", member: entry.from, name: entry.name });
      },
      vote: (line, choices) => {
        log.write({ verb: "vote", target: line.entry.seq, body: { choices } });
      },
      closePoll: (line) => {
        log.write({ verb: "close_poll", target: line.entry.seq, body: {} });
      },
      retry: log.retry,
      discard: (clientId) => {
        const pending = log.state.pending.find((one) => one.clientId === clientId);
        // Without an entry nobody would find the file.
        if (pending?.verb === "file") files.remove(text(pending.body.file_id)).catch(() => undefined);
        log.discard(clientId);
      },
    }),
    [log, files, me, moderates, onIntent],
  );
}
