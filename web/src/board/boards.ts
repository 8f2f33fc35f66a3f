/** One board for each room that is open on this page: it follows the log from its first opening on. */

import type { RoomLive } from "../room/RoomLive";
import { Board } from "./board";

const boards = new WeakMap<RoomLive, Board>();

export function boardOf(live: RoomLive): Board {
  const known = boards.get(live);
  if (known !== undefined) return known;
  const { log, api, sealed } = live;
  const board = new Board({
    write: log.write,
    listen: log.listen,
    onReadable: sealed?.seal.onReadable ?? (() => () => undefined),
    page: (before, limit) => api.drawn(before, limit),
    policy: () => log.state.policy,
  });
  boards.set(live, board);
  return board;
}
