/** One's own stroke, from the first point to the last: its points go out many at once. */

import { newClientId } from "../lib/keys";
import { type Line, MAX_NUMBERS } from "./sheet";

const SEND_MS = 40;

export interface Pen {
  /** Numbers as those of a stroke. */
  move: (points: readonly number[]) => void;
  end: () => void;
}

export function putPenDown(send: (line: Line) => void): Pen {
  let [id, at] = [newClientId(), 0];
  let waiting: number[] = [];
  let last: number[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = (end: boolean) => {
    clearTimeout(timer);
    timer = undefined;
    if (at === 0 && waiting.length === 0) return;
    const line = { id, at, points: waiting, end };
    at += waiting.length;
    waiting = [];
    send(line);
  };
  return {
    move: (points) => {
      if (at + waiting.length + points.length > MAX_NUMBERS) {
        // A long stroke goes on as another one, from where it is.
        flush(true);
        [id, at] = [newClientId(), 0];
        waiting.push(...last);
      }
      waiting.push(...points);
      last = points.slice(-2);
      timer ??= setTimeout(() => {
        flush(false);
      }, SEND_MS);
    },
    end: () => {
      flush(true);
    },
  };
}
