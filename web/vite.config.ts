import { defineConfig } from "vite";
import { board, noMermaid } from "./build/board.ts";
import { budget } from "./build/budget.ts";
import { compressed } from "./build/compressed.ts";
import { groups } from "./build/groups.ts";
import { preact } from "./build/preact.ts";
import { fromSources, smallSdk } from "./build/sdk.ts";
import { serviceWorker } from "./build/serviceWorker.ts";
import limits from "./budget.json" with { type: "json" };

const server = process.env.TING_SERVER ?? "http://127.0.0.1:7880";

export default defineConfig({
  plugins: [smallSdk(), board(), serviceWorker(), budget(limits), compressed()],
  resolve: { alias: [...preact, ...fromSources, ...noMermaid] },
  build: {
    target: "es2022",
    // The server's Content-Security-Policy allows no inline script and no data: URL.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
    // The bundle holds other people's code: their licences travel with it.
    license: { fileName: "licenses.md" },
    chunkSizeWarningLimit: 900,
    rolldownOptions: { output: { codeSplitting: { groups: groups() } } },
  },
  server: {
    proxy: {
      "/api": server,
      "/readyz": server,
      "/rtc": { target: server, ws: true },
    },
  },
});
