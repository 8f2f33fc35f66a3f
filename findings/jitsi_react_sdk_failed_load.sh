#!/bin/sh
# @jitsi/react-sdk 1.4.4: the promise of loading external_api.js is kept for the life of the page, also when it failed. After
# one failed load (the server was away for a moment) every later <JitsiMeeting> of the page, of another domain too, stays
# without a meeting: no second script is asked for, and the page must be loaded anew. A `key` that mounts it again does not help.
# Its script address is always https, whatever the page has. Seen with React 18 in jsdom, where the test plays the network.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @jitsi/react-sdk@1.4.4 react@18.3.1 react-dom@18.3.1 jsdom@26.1.0 esbuild@0.25.12
cat >page.js <<'JS'
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { flushSync } from "react-dom";
import { JitsiMeeting } from "@jitsi/react-sdk";

export function mount(document, domain) {
  const root = createRoot(document.body.appendChild(document.createElement("div")));
  flushSync(() => root.render(createElement(JitsiMeeting, { domain, roomName: "choir" })));
  return () => flushSync(() => root.unmount());
}
JS
npx esbuild page.js --bundle --format=cjs --platform=node --define:process.env.NODE_ENV=\"production\" --log-level=error --outfile=page.cjs
cat >try.cjs <<'JS'
const { JSDOM } = require("jsdom");

const { window } = new JSDOM("<!doctype html><body></body>", { url: "http://localhost/" });
Object.assign(globalThis, { window, document: window.document, HTMLElement: window.HTMLElement });
const { mount } = require("./page.cjs");
const scripts = () => [...window.document.querySelectorAll("script")];
const settled = () => new Promise((done) => setTimeout(done, 50));
const isAway = process.argv[2] === "away";
console.error = () => undefined;
process.on("unhandledRejection", () => undefined);

(async () => {
  let meetings = 0;
  const leave = mount(window.document, "meet.example.test");
  await settled();
  const { src } = scripts()[0];
  if (isAway) {
    scripts()[0].dispatchEvent(new window.Event("error"));
    await settled();
    leave();
  }
  // From here on the server answers: whatever script is asked for, and the one that was, defines its object.
  window.JitsiMeetExternalAPI = class {
    constructor() {
      meetings += 1;
    }
    on() {}
    once() {}
    addListener() {}
    dispose() {}
    executeCommand() {}
    getIFrame() {
      return window.document.createElement("iframe");
    }
  };
  if (!isAway) scripts()[0].dispatchEvent(new window.Event("load"));
  await settled();
  if (isAway) mount(window.document, "meet.example.test");
  if (isAway) mount(window.document, "other.example.test");
  await settled();
  for (const script of scripts().slice(1)) script.dispatchEvent(new window.Event("load"));
  await settled();
  console.log(`${process.argv[2]}: ${src}, ${scripts().length} script in all, ${meetings} meetings`);
})();
JS
found=$(node try.cjs there && node try.cjs away)
echo "$found"
[ "$found" = "there: https://meet.example.test/external_api.js, 1 script in all, 1 meetings
away: https://meet.example.test/external_api.js, 1 script in all, 0 meetings" ]
