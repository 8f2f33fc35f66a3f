import { useMemo, useState } from "react";
import type { Entry } from "../log/entries";
import { type RoomLive, useRoomNews } from "../room/RoomLive";

interface BoardView {
  isOpen: boolean;
  open: () => void;
  close: () => void;
  /** Who has opened it lately; null: nobody, or it was seen. */
  openedBy: string | null;
  dismiss: () => void;
}

/** Whether the whiteboard is open here, and who opened it elsewhere. */
export function useBoard(live: RoomLive | null): BoardView {
  const [isOpen, setOpen] = useState(false);
  const [openedBy, setOpenedBy] = useState<string | null>(null);
  const news = useMemo(
    () => ({
      onEntry: ({ verb, body, from, name }: Entry) => {
        if (verb === "board" && body?.opened === true && from !== live?.log.state.me) setOpenedBy(name);
      },
    }),
    [live],
  );
  useRoomNews(live, news);
  const show = (open: boolean) => () => {
    setOpen(open);
    setOpenedBy(null);
  };
  return { isOpen, open: show(true), close: show(false), openedBy: isOpen ? null : openedBy, dismiss: () => {
    setOpenedBy(null);
  } };
}
