/**
 * Faults, drawn by chance from a seed: what one page says the others read, or they say who cannot be read and why.
 * `SEAL_FAULTS` sets how many, `SEAL_MESSAGES` how much a second device has to read (20 and 100 when nothing is set). With
 * `SEAL_REAL_TIMES` everything waits as long as in a browser, and what it took is told.
 */

import { afterAll, describe, expect, it } from "vitest";
import { text } from "../lib/api";
import { type Bytes, random, toBase64url } from "./bytes";
import { newFileKey, openFile, SealedFile } from "./fileSeal";
import { KeyRing } from "./keyRing";
import { LogSeal } from "./logSeal";
import { Recovery } from "./recovery";
import { agree, closeAll, link, Page, Server, until } from "./testRoom";

const RUNS = Number(process.env.SEAL_FAULTS ?? 20);
const MESSAGES = Number(process.env.SEAL_MESSAGES ?? 100);
const FILES = MESSAGES / 50;
const isReal = process.env.SEAL_REAL_TIMES !== undefined;
const tookMs: number[] = [];

afterAll(() => {
  closeAll();
  if (isReal) console.info(`${tookMs.length} faults, ms until healed or said: median ${at(0.5)}, worst ${at(1)}`);
});

const at = (share: number) => tookMs.toSorted((one, other) => one - other)[Math.ceil(share * tookMs.length) - 1];

/** Numbers from 0 to below `below`, the same for the same seed (a linear congruential generator). */
function chance(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function flip(bytes: Bytes, draw: (below: number) => number): void {
  const place = draw(bytes.length);
  bytes[place] = (bytes[place] ?? 0) ^ (1 << draw(8));
}

function oneOf<Item>(items: readonly Item[], draw: (below: number) => number): Item {
  const item = items[draw(items.length)];
  if (item === undefined) throw new Error("none");
  return item;
}

type Fault = (server: Server, victim: Page, draw: (below: number) => number) => void;

function viewOf({ session }: Page) {
  const { view } = session.state;
  if (view === null) throw new Error("not in the group");
  return view;
}

const FAULTS: Record<string, Fault> = {
  "a byte of a key that is held changes": (_, victim, draw) => {
    const { group, epoch, chatKey } = viewOf(victim);
    const key = chatKey.slice();
    flip(key, draw);
    victim.ring.replace({ group, epoch, key });
  },
  "a byte of the key that one seals with changes": (_, victim, draw) => {
    // A copy of its own: the ring keeps the good one.
    const view = viewOf(victim);
    victim.session.state = { ...victim.session.state, view: { ...view, chatKey: view.chatKey.slice() } };
    flip(viewOf(victim).chatKey, draw);
  },
  "a commit is dropped for all": (server) => {
    server.spoil = () => {
      server.spoil = (commit) => commit;
      return null;
    };
  },
  "a commit changes on its way": (server, _, draw) => {
    server.spoil = (commit) => {
      server.spoil = (next) => next;
      const changed = commit.slice();
      flip(changed, draw);
      return changed;
    };
  },
  "welcomes come twice": (server) => {
    server.welcomes = 2;
  },
  "a welcome does not come": (server) => {
    server.welcomes = 0;
  },
};

/** Everybody reads everything; what `unreadable` said is known not to open. */
async function settle(pages: readonly Page[], server: Server, unreadable: string): Promise<void> {
  const isRight = (line: unknown, from: string) => line === `from ${from}` || (line === "broken" && from === unreadable);
  const isDone = () => pages.every((page) => server.entries.every(({ seq, from }) => isRight(page.line(seq), from)));
  const lines = () => JSON.stringify(pages.map((page) => server.entries.map(({ seq }) => page.line(seq))));
  await until(isDone, () => `all of ${lines()}`);
}

describe("after a fault", { timeout: 120_000 }, () => {
  const names = Object.keys(FAULTS);
  it.concurrent.each(Array.from({ length: RUNS }, (_, run) => [run, names[run % names.length] ?? ""] as const))(
    "(%i: %s) all is read, or said not to be",
    async (run, name) => {
      const draw = chance(run + 1);
      const server = new Server(!isReal);
      const pages = ["ada", "bob", "cleo"].map((member) => new Page(server, member));
      for (const page of pages) server.come(page);
      await agree(...pages);
      const victim = oneOf(pages, draw);
      FAULTS[name]?.(server, victim, draw);
      const beganMs = Date.now();
      const late = new Page(server, "dan");
      server.come(late);
      pages.push(late);
      await Promise.all(pages.map((page) => page.say(`from ${page.member}`)));
      await settle(pages, server, name.includes("seals with") ? victim.member : "");
      tookMs.push(Date.now() - beganMs);
    },
  );
});

describe("a second device", { timeout: 300_000 }, () => {
  it("reads with the recovery key everything that the first one can", async () => {
    const server = new Server();
    const ada = new Page(server, "ada");
    server.come(ada);
    await agree(ada);
    const contents = Array.from({ length: FILES }, (_, number) => random(20_000 + 1000 * number));
    const stored: { bytes: Bytes; key: string }[] = [];
    for (const content of contents) {
      const key = newFileKey();
      const sealed = new SealedFile(new Blob([content]), key);
      stored.push({ bytes: await sealed.slice(0, sealed.size), key });
    }
    for (let number = 0; number < MESSAGES; number++) {
      const file = stored[number / 50];
      await ada.say(file === undefined ? `message ${number}` : JSON.stringify({ key: file.key, size: contents[number / 50]?.length }));
      // Somebody comes and goes: the next ones are of other epochs.
      if (number % 20 === 19) {
        const guest = new Page(server, `guest ${number}`, link);
        server.come(guest);
        await agree(ada, guest);
        server.go(guest);
        await agree(ada);
      }
    }
    let blob: Bytes | null = null;
    const api = { backup: () => Promise.resolve(blob), putBackup: (made: Bytes) => Promise.resolve(void (blob = made)) };
    const kept = new Recovery("den", ada.ring, api);
    const recoveryKey = await kept.make();
    kept.close();

    const beganMs = Date.now();
    const ring = new KeyRing("den", { load: () => Promise.resolve(null), save: () => Promise.resolve() });
    const other = new Recovery("den", ring, api);
    expect(await other.use(recoveryKey)).toBe("done");
    const log = new LogSeal(ring, () => null, () => "ada");
    const opened = await log.open(server.entries);
    const files = opened.filter((_, number) => number % 50 === 0).map(({ body }) => JSON.parse(text(body?.text)) as { key: string; size: number });
    const read = await Promise.all(
      files.map(async (file, number) => {
        const blobOf = await openFile(new Blob([stored[number]?.bytes ?? ""]).stream(), file, "");
        return new Uint8Array(await blobOf.arrayBuffer());
      }),
    );
    const took = Date.now() - beganMs;
    if (isReal) console.info(`${MESSAGES} messages of ${server.epoch + 1} epochs and ${FILES} files on a second device: ${took} ms`);
    expect(log.lacking()).toEqual([]);
    expect(opened.filter(({ body }) => typeof body?.text === "string")).toHaveLength(MESSAGES);
    expect(read.map(toBase64url)).toEqual(contents.map(toBase64url));
    expect(server.epoch).toBeGreaterThan(MESSAGES / 20);
    other.close();
  });
});
