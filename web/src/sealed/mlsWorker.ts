/** MLS off the page's own thread: calls of `MlsDevice`, one after the other. */

import { random, toBase64url } from "./bytes";
import { Core } from "./mls/core";
import { newDevice } from "./mls/mls";
import wasmUrl from "./mls/ting_mls.wasm?url";
import type { Call, Outcome, Start } from "./mlsCalls";
import { MlsDevice } from "./mlsDevice";

const DEVICE_BYTES = 16;
let started: MlsDevice | null = null;

async function load(): Promise<Core> {
  const response = await fetch(wasmUrl, { credentials: "omit" });
  return Core.start(await response.arrayBuffer());
}

// The page may have this worker long before it needs it; what could not be fetched then is fetched again.
const loading = load();
loading.catch(() => undefined);

async function start({ member, device, psk }: Start) {
  const core = await loading.catch(load);
  const own = device ?? newDevice(core, member, toBase64url(random(DEVICE_BYTES)));
  started = new MlsDevice(core, own, psk);
  return own;
}

function act({ method, args }: Call): unknown {
  const on = started as unknown as Record<string, (...values: unknown[]) => unknown>;
  return on[method]?.(...args);
}

async function answer(id: number, outcome: () => unknown): Promise<void> {
  let told: Outcome;
  try {
    told = { id, result: await outcome() };
  } catch (error) {
    told = { id, problem: error instanceof Error ? error.message : "unknown" };
  }
  self.postMessage(told);
}

self.onmessage = ({ data }: MessageEvent<Start | Call>) => {
  if ("psk" in data) void answer(0, () => start(data));
  else void answer(data.id, () => act(data));
};
