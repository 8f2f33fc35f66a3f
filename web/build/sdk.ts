import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const LIBRARIES = fileURLToPath(new URL("../node_modules/", import.meta.url));
const SDK = `${LIBRARIES}livekit-client/`;
/** The one whose parts were looked over for this: another one is looked over first. */
const VERSION = "2.23.0";

/** What the SDK holds that this page has no use for, and what stands in its place. */
const LEFT_AWAY = new Map([
  ["webrtc-adapter/src/js/adapter_core.js", "adapter.ts"],
  ["@bufbuild/protobuf/dist/esm/private/json-format.js", "jsonFormat.ts"],
  ["livekit-client/src/room/data-track/incoming/IncomingDataTrackManager.ts", "incomingDataTracks.ts"],
  ["livekit-client/src/room/data-track/outgoing/OutgoingDataTrackManager.ts", "outgoingDataTracks.ts"],
]);

/** The SDK from its sources, which are in its package: of its bundle, nothing could be left away. */
export const fromSources = [{ find: /^livekit-client$/, replacement: `${SDK}src/index.ts` }];

export function smallSdk(): Plugin {
  const missing = new Set(LEFT_AWAY.keys());
  return {
    name: "small-sdk",
    enforce: "pre",
    apply: "build",
    buildStart() {
      const { version } = JSON.parse(readFileSync(`${SDK}package.json`, "utf8")) as { version: string };
      if (version !== VERSION) this.error(`livekit-client is ${version}: see whether what build/sdk.ts leaves away is as it was in ${VERSION}`);
    },
    load(id) {
      const path = id.split("?", 1)[0] ?? id;
      const known = path.startsWith(LIBRARIES) ? path.slice(LIBRARIES.length) : "";
      const ours = LEFT_AWAY.get(known);
      if (ours === undefined) return null;
      missing.delete(known);
      return { code: readFileSync(fileURLToPath(new URL(`sdk/${ours}`, import.meta.url)), "utf8"), moduleType: "ts" };
    },
    generateBundle() {
      if (missing.size > 0) this.error(`the SDK does not hold any more: ${[...missing].join(", ")}`);
    },
  };
}
