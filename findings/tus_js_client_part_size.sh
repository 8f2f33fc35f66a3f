#!/bin/sh
# tus-js-client 4.3.1: a file source of one's own may give parts "usable by the HTTP stack as a body" (lib/index.d.ts), and a
# Buffer is. But the client counts only what has a property `size`, which no Buffer or Uint8Array has: it takes the part for
# empty, sends none of it, and ends with "the source is done after 0 bytes". The same bytes with a `size` go through.
# Seen in Node 20; in browsers it is the same for Uint8Array, while a Blob has a `size`.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund tus-js-client@4.3.1
cat >try.mjs <<'JS'
import { createServer } from "node:http";
import { createRequire } from "node:module";
const { Upload } = createRequire(import.meta.url)("tus-js-client");

const content = Buffer.from("ten bytes!");
let received = 0;
const server = createServer((request, response) => {
  request.on("data", (part) => (received += part.length));
  request.on("end", () => {
    const isNew = request.method === "POST";
    const headers = { "Tus-Resumable": "1.0.0", ...(isNew ? { Location: "/files/1" } : { "Upload-Offset": `${received}` }) };
    response.writeHead(isNew ? 201 : 204, headers).end();
  });
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

function send(part) {
  received = 0;
  const source = { size: content.length, slice: async () => ({ value: part, done: true }), close() {} };
  return new Promise((done) => {
    new Upload({}, {
      endpoint: `http://127.0.0.1:${server.address().port}/files`,
      fileReader: { openFile: async () => source },
      uploadSize: content.length,
      retryDelays: null,
      onSuccess: () => done(`success, ${received} bytes arrived`),
      onError: (error) => done(`${/source is done after \d+ bytes/.exec(error.message)?.[0] ?? error.message}, ${received} bytes arrived`),
    }).start();
  });
}

console.log("Buffer:", await send(Buffer.from(content)));
console.log("Buffer with a size:", await send(Object.assign(Buffer.from(content), { size: content.length })));
server.close();
JS
node try.mjs | tee seen
cat >expected <<'SEEN'
Buffer: source is done after 0 bytes, 0 bytes arrived
Buffer with a size: success, 10 bytes arrived
SEEN
diff expected seen
