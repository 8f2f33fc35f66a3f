/** A poll's result as a table for a spreadsheet (RFC 4180). */

import { text } from "../lib/api";
import { texts } from "../log/entries";
import type { ShownLine } from "../log/fold";

/** Names of the columns, in the reader's language. */
export interface PollColumns {
  option: string;
  votes: string;
  voters: string;
}

/**
 * One row for each option: what it says, how many chose it, and who. `nameOf` gives a member's name. The first line is
 * the question. With a byte order mark, without which Excel takes the text for another encoding.
 */
export function pollCsv({ body, votes }: ShownLine, columns: PollColumns, nameOf: (member: string) => string): string {
  const rows = texts(body?.options).map((option, choice) => {
    const members = votes[choice] ?? [];
    return [option, String(members.length), members.map(nameOf).join(", ")];
  });
  const all = [[text(body?.question)], [columns.option, columns.votes, columns.voters], ...rows];
  return `\uFEFF${all.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** What begins like a formula would be one in a spreadsheet; an apostrophe before it keeps it text. */
function cell(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
