/** Bundles this page as web/vite.config.ts bundles the app. */

import { resolve } from "node:path";

const web = resolve(import.meta.dirname, "../../../web");

export default {
  root: import.meta.dirname,
  logLevel: "warn",
  resolve: { alias: [{ find: /^livekit-client$/, replacement: resolve(web, "node_modules/livekit-client") }] },
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0, chunkSizeWarningLimit: 900 },
};
