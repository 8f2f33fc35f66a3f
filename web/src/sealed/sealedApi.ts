/** A sealed room's entries, opened here; words are searched for in what this device can read. */

import { text } from "../lib/api";
import { type Body, type Entry, isLocked } from "../log/entries";
import { type Page, RoomApi } from "../log/rest";
import type { LogSeal } from "./logSeal";

const SEARCH_PAGE = 200;
/** The newest 20,000 entries. */
const MAX_SEARCH_PAGES = 100;
const MAX_FOUND = 50;

export class SealedRoomApi extends RoomApi {
  constructor(
    room: string,
    token: () => string | null,
    private readonly seal: LogSeal,
  ) {
    super(room, token);
  }

  override async page(...where: Parameters<RoomApi["page"]>): Promise<Page> {
    const page = await super.page(...where);
    return { ...page, entries: await this.seal.open(page.entries) };
  }

  override async drawn(...where: Parameters<RoomApi["drawn"]>): Promise<Page> {
    const page = await super.drawn(...where);
    return { ...page, entries: await this.seal.open(page.entries) };
  }

  override async pins(): Promise<Entry[]> {
    return this.seal.open(await super.pins());
  }

  override async pageSince(...where: Parameters<RoomApi["pageSince"]>): Promise<Page> {
    const page = await super.pageSince(...where);
    return { ...page, entries: await this.seal.open(page.entries) };
  }

  /** Newest first; every word has to be in it. */
  override async search(words: string): Promise<Entry[]> {
    const wanted = words.toLocaleLowerCase().split(/\s+/u).filter((word) => word !== "");
    const found: Entry[] = [];
    let before: number | null = null;
    for (let pages = 0; pages < MAX_SEARCH_PAGES && found.length < MAX_FOUND; pages++) {
      const page: Page = await this.page(before, SEARCH_PAGE);
      for (const entry of page.entries.toReversed()) if (says(entry.body, wanted)) found.push(entry);
      before = page.entries[0]?.seq ?? null;
      if (!page.more || before === null) break;
    }
    return found.slice(0, MAX_FOUND);
  }
}

function says(body: Body | null, wanted: readonly string[]): boolean {
  if (body === null || isLocked(body)) return false;
  const options = Array.isArray(body.options) ? body.options.map(text) : [];
  const all = [body.text, body.name, body.question].map(text).concat(options).join("\n").toLocaleLowerCase();
  return wanted.every((word) => all.includes(word));
}
