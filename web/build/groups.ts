import { fileURLToPath } from "node:url";
import type { Rolldown } from "vite";

/** What is fetched together is one file: everything that the start page needs, then everything that the call begins with, then what rooms that last and sealed ones have besides. */
const GROUPS = [
  { name: "start", roots: ["/src/main.tsx"] },
  { name: "call", roots: ["/src/screens/RoomPage.tsx"] },
  { name: "lasting", roots: ["/src/room/RoomLiveProvider.tsx", "/src/room/RoomBars.tsx"] },
  {
    name: "sealed",
    roots: ["/src/room/SealedLive.tsx", "/src/room/MediaSealBanner.tsx", "/src/sealed/mlsEngine.ts", "/src/sealed/callMedia.ts", "/src/sealed/sealedFiles.ts"],
  },
] as const;
/** Names every icon that there is; of those, only what somebody shows is left. */
const LISTS_ALL = "/node_modules/lucide-react/dist/esm/lucide-react.mjs";
/** What the bundler adds so that files find each other. */
const RUNTIME = "rolldown/runtime";
/** The SDK and what it needs: large, and changes with its own releases only: a file of its own, which a browser keeps over ours. */
const MEDIA = /\/node_modules\/(livekit-client|@livekit\/(protocol|mutex)|@bufbuild|events|jose|machina|sdp-transform)\//;

interface Graph {
  getModuleInfo: (id: string) => Rolldown.ModuleInfo | null;
}

type Group = Exclude<NonNullable<Rolldown.CodeSplittingOptions["groups"]>, undefined>[number];

/** The files, the first that wants a module and all that it needs first. */
export function groups(): Group[] {
  const [start, ...others] = GROUPS;
  const media: Group = { name: "media", test: MEDIA, priority: others.length + 1 };
  return [{ ...importedBy(start), priority: others.length + 2 }, media, ...others.map((one, at) => ({ ...importedBy(one), priority: others.length - at }))];
}

function importedBy({ name, roots }: (typeof GROUPS)[number]): Group {
  const paths = roots.map((root) => fileURLToPath(new URL(`..${root}`, import.meta.url)));
  let members: Set<string> | undefined;
  return {
    debugName: name,
    name: (id, graph) => {
      members ??= reach(paths, graph);
      return members.has(id) || (name === "start" && id.includes(RUNTIME)) ? name : null;
    },
  };
}

/** Whatever `roots` import, and not only later. */
function reach(roots: readonly string[], graph: Graph): Set<string> {
  const found = new Set<string>();
  const todo = [...roots];
  for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
    if (found.has(id) || id.endsWith(LISTS_ALL)) continue;
    found.add(id);
    todo.push(...(graph.getModuleInfo(id)?.importedIds ?? []));
  }
  return found;
}
