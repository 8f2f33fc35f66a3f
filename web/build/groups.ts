import { fileURLToPath } from "node:url";
import type { Rolldown } from "vite";

/** What is fetched together is one file: everything that the start page needs, then everything that the call begins with. */
const GROUPS = [
  { name: "start", root: "/src/main.tsx" },
  { name: "call", root: "/src/screens/RoomPage.tsx" },
] as const;
/** Names every icon that there is; of those, only what somebody shows is left. */
const LISTS_ALL = "/node_modules/lucide-react/dist/esm/lucide-react.mjs";
/** Large, and changes with its own releases only: a file of its own, which a browser keeps over ours. */
const MEDIA = /\/node_modules\/livekit-client\//;

interface Graph {
  getModuleInfo: (id: string) => Rolldown.ModuleInfo | null;
}

type Group = Exclude<NonNullable<Rolldown.CodeSplittingOptions["groups"]>, undefined>[number];

/** The files, the first that wants a module and all that it needs first. */
export function groups(): Group[] {
  const [start, call] = GROUPS;
  const media: Group = { name: "media", test: MEDIA, priority: 2 };
  return [{ ...importedBy(start), priority: 3 }, media, { ...importedBy(call), priority: 1 }];
}

function importedBy({ name, root }: (typeof GROUPS)[number]): Group {
  const path = fileURLToPath(new URL(`..${root}`, import.meta.url));
  let members: Set<string> | undefined;
  return {
    name: (id, graph) => {
      members ??= reach(path, graph);
      return members.has(id) ? name : null;
    },
  };
}

/** Whatever `root` imports, and not only later. */
function reach(root: string, graph: Graph): Set<string> {
  const found = new Set<string>();
  const todo = [root];
  for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
    if (found.has(id) || id.endsWith(LISTS_ALL)) continue;
    found.add(id);
    todo.push(...(graph.getModuleInfo(id)?.importedIds ?? []));
  }
  return found;
}
