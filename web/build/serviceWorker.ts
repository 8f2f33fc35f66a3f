import { fileURLToPath } from "node:url";
import type { Plugin, Rolldown } from "vite";

const SOURCE = fileURLToPath(new URL("../worker/serviceWorker.ts", import.meta.url));
const NAME = "service-worker.js";
/** What of the call is fetched later, from here on. */
const CALL = "/src/screens/RoomPage.tsx";
/** Texts of other languages, and what is large, are fetched when somebody wants them. */
const LANGUAGES = "/src/i18n/languages/";
const BOARD = "/src/board/Whiteboard.tsx";
const MAX_BYTES = 2 ** 18;

/** Builds the service worker, and tells it the files that a call may want. */
export function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    buildStart() {
      this.emitFile({ type: "chunk", id: SOURCE, fileName: NAME });
    },
    generateBundle(_options, bundle) {
      const worker = bundle[NAME];
      if (worker?.type !== "chunk") throw new Error("there is no service worker");
      if (worker.imports.length > 0) throw new Error("the service worker has to be one file");
      worker.code = worker.code.replace(/(["'`])__PARTS__\1/, JSON.stringify(partsOf(bundle)));
    },
  };
}

function partsOf(bundle: Rolldown.OutputBundle): string[] {
  const chunks = Object.values(bundle).filter((file) => file.type === "chunk");
  const found = new Set<string>();
  const add = (fileName: string) => {
    const chunk = chunks.find((each) => each.fileName === fileName);
    if (chunk === undefined || found.has(fileName) || [LANGUAGES, BOARD].some((path) => chunk.facadeModuleId?.includes(path))) return;
    found.add(fileName);
    for (const other of [...chunk.imports, ...chunk.dynamicImports]) add(other);
    const { importedAssets = new Set<string>(), importedCss = new Set<string>() } = chunk.viteMetadata ?? {};
    for (const asset of [...importedAssets, ...importedCss]) if (sizeOf(bundle[asset]) <= MAX_BYTES) found.add(asset);
  };
  const call = chunks.find(({ moduleIds }) => moduleIds.some((id) => id.endsWith(CALL)));
  if (call === undefined) throw new Error(`no built file has ${CALL}`);
  add(call.fileName);
  return [...found].map((name) => `/${name}`).sort();
}

function sizeOf(file: Rolldown.OutputBundle[string] | undefined): number {
  return file === undefined ? 0 : (file.type === "chunk" ? file.code : file.source).length;
}
