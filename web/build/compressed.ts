import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const WORTH_IT = /\.(js|css|svg|wasm|tflite)$/;
/** Brotli's best takes seconds for each megabyte, and gains least on what is as large as this. */
const BROTLI_UP_TO_BYTES = 2 ** 20;

/** Writes `name.gz` and `name.br` beside the built files: the server sends those to browsers that take them. */
export function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    async writeBundle({ dir }) {
      if (dir === undefined) return;
      for (const name of await readdir(dir, { recursive: true })) {
        if (!WORTH_IT.test(name)) continue;
        const path = join(dir, name);
        const content = await readFile(path);
        const shorter = { gz: gzipSync(content, { level: 9 }), br: content.length > BROTLI_UP_TO_BYTES ? null : brotliCompressSync(content) };
        for (const [ending, bytes] of Object.entries(shorter)) {
          if (bytes !== null && bytes.length < content.length) await writeFile(`${path}.${ending}`, bytes);
        }
      }
    },
  };
}
