/** The `Engine` of a page: MLS in a worker, for a device that this browser keeps. */

import { type Bytes, fromBase64url, toBase64url } from "./bytes";
import type { Engine, Proposed, View } from "./engine";
import type { Device } from "./mls/mls";
import type { Call, Outcome, Start } from "./mlsCalls";
import { load, save } from "./store";
import { asRecord, text } from "../lib/api";

/** Pages of one browser that are in a room at once. */
const MAX_PAGES = 16;

let warm: Worker | null = null;

const newWorker = () => new Worker(new URL("./mlsWorker.ts", import.meta.url), { type: "module" });

/** The next engine of this page has its library by the time that it is asked for. */
export function warmUp(): void {
  warm ??= newWorker();
}

function takeWorker(): Worker {
  const worker = warm ?? newWorker();
  warm = null;
  return worker;
}

class WorkerEngine implements Engine {
  private readonly worker = takeWorker();
  private readonly waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  private count = 0;

  constructor(private readonly release: () => void) {
    this.worker.onmessage = ({ data }: MessageEvent<Outcome>) => {
      const { id, result, problem } = data;
      const waiting = this.waiting.get(id);
      this.waiting.delete(id);
      if (problem === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(problem));
    };
    this.worker.onerror = () => {
      for (const { reject } of this.waiting.values()) reject(new Error("the worker for MLS does not run"));
      this.waiting.clear();
    };
  }

  start(start: Start): Promise<Device> {
    this.worker.postMessage(start);
    return this.answer<Device>(0);
  }

  private call<Result>(method: string, ...args: unknown[]): Promise<Result> {
    const id = ++this.count;
    this.worker.postMessage({ id, method, args } satisfies Call);
    return this.answer<Result>(id);
  }

  private answer<Result>(id: number): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
    });
  }

  keyPackage = () => this.call<Bytes>("keyPackage");
  create = (group: string) => this.call<Proposed>("create", group);
  join = (welcome: Bytes) => this.call<View | null>("join", welcome);
  joinExternally = (groupInfo: Bytes) => this.call<Proposed>("joinExternally", groupInfo);
  propose = (add: readonly Bytes[], remove: readonly number[]) => this.call<Proposed>("propose", add, remove);
  accept = () => this.call<View>("accept");
  process = (commit: Bytes) => this.call<View | null>("process", commit);
  sign = (data: Bytes) => this.call<Bytes>("sign", data);

  close = (): void => {
    this.worker.terminate();
    this.release();
  };
}

/** A device of this browser that no other page of it is at the moment; `release` gives it back. */
async function takeDevice(room: string, member: string): Promise<{ name: string; release: () => void }> {
  for (let page = 0; page < MAX_PAGES; page++) {
    const name = `${room} ${member} ${page}`;
    const release = await new Promise<(() => void) | null>((resolve) => {
      void navigator.locks.request(`ting device ${name}`, { ifAvailable: true }, (lock) => {
        if (lock === null) {
          resolve(null);
          return undefined;
        }
        return new Promise<void>((done) => {
          resolve(done);
        });
      });
    });
    if (release !== null) return { name, release };
  }
  throw new Error("too many pages of this room are open");
}

function parseDevice(value: unknown, member: string): Device | null {
  const kept = asRecord(value);
  const [publicKey, secretKey] = [fromBase64url(text(kept.publicKey)), fromBase64url(text(kept.secretKey))];
  if (!publicKey?.length || !secretKey?.length || text(kept.device) === "") return null;
  return { identity: member, device: text(kept.device), publicKey, secretKey };
}

/** Throws where MLS does not run. */
export async function createEngine({ room, member, psk }: { room: string; member: string; psk: Bytes }): Promise<{ engine: Engine; device: string }> {
  const { name, release } = await takeDevice(room, member);
  const engine = new WorkerEngine(release);
  try {
    const kept = parseDevice(await load("devices", name), member);
    const { device, publicKey, secretKey } = await engine.start({ member, device: kept, psk });
    // Nobody waits for it: coming in does not depend on the next visit.
    if (kept === null) void save("devices", name, { device, publicKey: toBase64url(publicKey), secretKey: toBase64url(secretKey) });
    return { engine, device };
  } catch (error) {
    engine.close();
    throw error;
  }
}
