/** Bundles a page that has Jitsi's own React component in it, as it is published. */

import { resolve } from "node:path";

const modules = resolve(import.meta.dirname, "../../../web/node_modules");
const PACKAGES = /^(@jitsi\/react-sdk|react|react-dom)(?=\/|$)/;

export default {
  root: import.meta.dirname,
  logLevel: "warn",
  resolve: { alias: [{ find: PACKAGES, replacement: `${modules}/$1` }] },
  build: { target: "es2022", modulePreload: { polyfill: false } },
};
