import { type RefObject, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { RoomSnapshot } from "../log/roomState";
import type { RoomLive } from "../room/RoomLive";
import { rowsOf } from "./draft";
import { type First, further, nearer, rangeOf } from "./shownRows";

/** So near to an end, the list counts as being there. */
const NEAR_PX = 80;

/** A row and where it stood in the list. */
interface Place {
  key: string;
  top: number;
}

/** What is shown of the history, and how one moves in it: at the end what is new comes into sight, elsewhere what one
 * reads stays where it is, whatever comes or goes around it. */
export function useScrolling(list: RefObject<HTMLDivElement | null>, live: RoomLive, { lines, pending }: RoomSnapshot) {
  const [first, setFirst] = useState<First>(null);
  const [away, setAway] = useState(false);
  const isAtEnd = useRef(true);
  const place = useRef<Place | null>(null);
  const rows = useMemo(() => rowsOf(lines), [lines]);
  const keys = useMemo(() => rows.map(({ line }) => line.key), [rows]);
  const range = rangeOf(keys, first);
  const isNewest = range.end === keys.length;

  useLayoutEffect(() => {
    const element = list.current;
    if (element === null) return;
    if (isAtEnd.current && isNewest) element.scrollTo({ top: element.scrollHeight });
    else restore(element, place.current);
    place.current = placeIn(element);
  }, [list, rows, pending, first, isNewest]);

  const loadOlder = () => {
    setFirst("");
    void live.log.loadOlder();
  };
  const onScroll = () => {
    const element = list.current;
    if (element === null) return;
    const isNearEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    isAtEnd.current = isNearEnd && isNewest;
    setAway(!isAtEnd.current);
    place.current = placeIn(element);
    if (isAtEnd.current) setFirst(null);
    else if (isNearEnd) setFirst(nearer(keys, range));
    else if (element.scrollTop < NEAR_PX && range.start === 0) loadOlder();
    else if (element.scrollTop < NEAR_PX) setFirst(further(keys, range));
    // What comes now must not push away what is read.
    else if (first === null) setFirst(keys[range.start] ?? null);
  };
  const jump = () => {
    isAtEnd.current = true;
    setAway(false);
    setFirst(null);
    list.current?.scrollTo({ top: list.current.scrollHeight });
  };
  return { shown: rows.slice(range.start, range.end), isFirst: range.start === 0, isNewest, away, onScroll, loadOlder, jump };
}

const rowElements = (list: HTMLElement) => list.querySelectorAll<HTMLElement>("[data-row]");
// A row has no box of its own.
const topOf = (list: HTMLElement, row: HTMLElement) =>
  (row.firstElementChild?.getBoundingClientRect().top ?? 0) - list.getBoundingClientRect().top;

/** Of the first row that begins in sight. */
function placeIn(list: HTMLElement): Place | null {
  for (const row of rowElements(list)) {
    const top = topOf(list, row);
    if (top >= 0) return { key: row.dataset.row ?? "", top };
  }
  return null;
}

function restore(list: HTMLElement, place: Place | null): void {
  const row = place && [...rowElements(list)].find((one) => one.dataset.row === place.key);
  if (row) list.scrollBy({ top: topOf(list, row) - place.top });
}
