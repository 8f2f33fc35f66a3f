import { gzipSync } from "node:zlib";
import type { Plugin, Rolldown } from "vite";

interface Limit {
  /** Modules whose files, with all that these import, a browser fetches until then. */
  modules: readonly string[];
  /** Of JavaScript, by gzip. */
  bytes: number;
}

/** Fails the build when a browser would fetch more than it may. `tests/browser/test_page_weight.py` measures the same. */
export function budget(limits: Record<string, Limit>): Plugin {
  return {
    name: "budget",
    apply: "build",
    generateBundle(_options, bundle) {
      for (const [name, limit] of Object.entries(limits)) {
        const files = filesOf(bundle, limit.modules);
        const bytes = files.reduce((sum, file) => sum + gzipSync(file.code, { level: 9 }).length, 0);
        const say = `${name}: ${String(bytes)} bytes of JavaScript by gzip, up to ${String(limit.bytes)}`;
        if (bytes > limit.bytes) this.error(say);
        this.info(say);
      }
    },
  };
}

function filesOf(bundle: Rolldown.OutputBundle, modules: readonly string[]): Rolldown.OutputChunk[] {
  const chunks = Object.values(bundle).filter((file) => file.type === "chunk");
  const found = new Map<string, Rolldown.OutputChunk>();
  const add = (chunk: Rolldown.OutputChunk | undefined) => {
    if (chunk === undefined || found.has(chunk.fileName)) return;
    found.set(chunk.fileName, chunk);
    for (const other of chunk.imports) add(chunks.find((each) => each.fileName === other));
  };
  for (const module of modules) {
    const holder = chunks.find((chunk) => chunk.moduleIds.some((id) => id.endsWith(`/${module}`)));
    if (holder === undefined) throw new Error(`budget: no built file has ${module}`);
    add(holder);
  }
  return [...found.values()];
}
