#!/bin/sh
# Excalidraw 0.18.1: `window.EXCALIDRAW_ASSET_PATH` says where the page's own server has the fonts. Each font face gets a second
# address all the same, on a public CDN, and export of a picture asks there when the first does not answer: text that somebody
# wrote tells a third party which page needs which font, and a Content-Security-Policy of one's own is broken at each of them.
# No option leaves the second address out. Seen in Node 20 with jsdom; browsers get the same `src` in each `FontFace`.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --legacy-peer-deps \
  @excalidraw/excalidraw@0.18.1 react@19.2.0 react-dom@19.2.0 jsdom@27.0.0 esbuild@0.25.10
echo 'export { convertToExcalidrawElements, exportToSvg } from "@excalidraw/excalidraw";' >entry.mjs
npx esbuild entry.mjs --bundle --format=esm --outfile=bundle.mjs --conditions=production --log-level=error \
  --define:import.meta.env='{"PKG_NAME":"page","PKG_VERSION":"1"}' --define:process.env.NODE_ENV='"production"' \
  --external:@excalidraw/mermaid-to-excalidraw
cat >try.mjs <<'JS'
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html><body></body>", { url: "https://call.example/", pretendToBeVisual: true });
const sources = [], asked = [];
window.FontFace = class {
  constructor(family, source, descriptors) {
    Object.assign(this, { family, status: "unloaded", unicodeRange: descriptors?.unicodeRange ?? "U+0-10FFFF" });
    sources.push(source);
  }
};
window.devicePixelRatio = 1;
window.EXCALIDRAW_ASSET_PATH = "/ours/";
window.HTMLCanvasElement.prototype.getContext = () => ({ filter: "none", measureText: () => ({ width: 1 }) });
window.document.fonts = { add() {}, check: () => false, load: async () => [], ready: Promise.resolve() };
for (const name of Object.getOwnPropertyNames(window)) if (!(name in globalThis)) globalThis[name] = window[name];
Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
globalThis.window = globalThis;
globalThis.fetch = async (url) => {
  asked.push(new URL(url));
  throw new Error("does not answer");
};
console.error = () => undefined;

const { convertToExcalidrawElements, exportToSvg } = await import("./bundle.mjs");
const elements = convertToExcalidrawElements([{ type: "text", text: "hello", x: 0, y: 0 }]);
await exportToSvg({ elements, appState: {}, files: {} });

const hostsOf = (source) => [...source.matchAll(/url\(([^)]+)\)/g)].map(([, url]) => new URL(url).host);
const ours = sources.filter((source) => hostsOf(source)[0] === "call.example").length;
const foreign = sources.filter((source) => hostsOf(source).some((host) => host !== "call.example")).length;
const foreignAsked = asked.filter(({ host }) => host !== "call.example").length;
console.log(`${sources.length} font faces, ${ours} with our address first, ${foreign} with somebody else's after it`);
console.log(`export asked us ${asked.length - foreignAsked} times and somebody else ${foreignAsked} times`);
if (ours === 0 || foreign !== ours || foreignAsked === 0) process.exit(1);
JS
node try.mjs
# Seen: 232 font faces, 230 with our address first, 230 with somebody else's after it (two are of the system)
#       export asked us 1 times and somebody else 1 times
