/** What the next message is about, and who can be mentioned in it. */

import type { Entry } from "../log/entries";
import type { ShownLine } from "../log/fold";
import type { ReadMark } from "../log/roomState";

export type Intent =
  | { kind: "message" }
  | { kind: "reply"; line: ShownLine }
  | { kind: "edit"; line: ShownLine }
  | { kind: "private"; member: string; name: string };

/** As the server counts: UTF-8. */
export const MAX_BYTES = 4096;

export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** By member: everybody whose name is known from the log or the call. */
export type People = ReadonlyMap<string, string>;

export function peopleOf(lines: readonly ShownLine[], present: People): People {
  const people = new Map<string, string>();
  for (const { entry } of lines) if (entry.from !== "" && entry.name !== "") people.set(entry.from, entry.name);
  for (const [member, name] of present) people.set(member, name);
  return people;
}

/** Members whose name stands behind an @ in `text`. */
export function mentionsIn(text: string, people: People): string[] {
  return [...people].filter(([, name]) => name !== "" && text.includes(`@${name}`)).map(([member]) => member);
}

/** The beginning of a name behind the @ in front of `caret`; null when none is being written. */
export function mentionAt(text: string, caret: number): string | null {
  return /(?:^|\s)@([^\s@]{0,40})$/u.exec(text.slice(0, caret))?.[1] ?? null;
}

export function namesFor(beginning: string, people: People, me: string): [string, string][] {
  const wanted = beginning.toLocaleLowerCase();
  return [...people]
    .filter(([member, name]) => member !== me && name.toLocaleLowerCase().startsWith(wanted))
    .sort(([, one], [, other]) => one.localeCompare(other))
    .slice(0, 5);
}

const GROUP_MS = 3 * 60_000;

/** Whether a line continues the one before it: same person, shortly after, to the same people. */
export function continuesLine(line: ShownLine, before: ShownLine | undefined): boolean {
  if (before === undefined || line.entry.target !== null) return false;
  const [one, other] = [line.entry, before.entry];
  const same = one.from === other.from && one.to === other.to && one.verb !== "poll" && other.verb !== "poll";
  return same && isSaid(before) && !before.over && one.atMs - other.atMs < GROUP_MS;
}

export function isSaid({ entry }: ShownLine): boolean {
  return entry.verb === "message" || entry.verb === "file" || entry.verb === "poll";
}

/** The name that somebody had when they did it, or the one of now. */
export function nameOf(entry: Entry, people: People, otherwise: string): string {
  return entry.name === "" ? (people.get(entry.from) ?? otherwise) : entry.name;
}

export interface Row {
  line: ShownLine;
  before: ShownLine | undefined;
  /** How many lines it stands for whose time is over; 0: it is a line of its own. */
  gone: number;
}

/** What is shown of the lines, each with the one before it: those whose time is over are one line together. */
export function rowsOf(lines: readonly ShownLine[]): Row[] {
  const rows: Row[] = [];
  for (const [index, line] of lines.entries()) {
    const last = rows.at(-1);
    if (!isSaid(line) || !line.over) rows.push({ line, before: lines[index - 1], gone: 0 });
    else if (last !== undefined && last.gone > 0) last.gone += 1;
    else rows.push({ line, before: lines[index - 1], gone: 1 });
  }
  return rows;
}

/** By key of a line: who has read up to there and no further. Nobody is named under what they said themselves. */
export function readersOf(lines: readonly ShownLine[], reads: readonly ReadMark[], me: string): ReadonlyMap<string, string[]> {
  const said = lines.filter((line) => isSaid(line) && !line.over && line.entry.seq > 0);
  const readers = new Map<string, string[]>();
  for (const { member, name, seq } of reads) {
    const last = said.findLast(({ entry }) => entry.seq <= seq);
    if (member === me || last === undefined || last.entry.from === member) continue;
    readers.set(last.key, [...(readers.get(last.key) ?? []), name]);
  }
  return readers;
}
