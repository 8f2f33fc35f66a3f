// A member of a room as the page has it, driven over lines of JSON: one request, one answer. Bytes are hexadecimal.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const web = new URL("../../web/", import.meta.url);
const { runnerImport } = await import(pathToFileURL(createRequire(new URL("package.json", web)).resolve("vite")).href);
const load = async (name) =>
  (await runnerImport(new URL(`src/sealed/mls/${name}.ts`, web).pathname, { configFile: false, logLevel: "error" })).module;
const { Core } = await load("core");
const { Group, newDevice, newKeyPackage } = await load("mls");

const core = await Core.start(readFileSync(new URL("src/sealed/mls/ting_mls.wasm", web)));
const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");
const device = newDevice(core, "page", "browser");
const held = { group: null, secret: null };

const does = {
  create: ({ id, link, agreed }) => void (held.group = Group.create(core, device, bytes(id), bytes(link), bytes(agreed))),
  keyPackage: () => {
    const made = newKeyPackage(core, device);
    held.secret = made.secret;
    return hex(made.message);
  },
  welcome: ({ message }) => void (held.group = Group.welcome(core, device, bytes(message), [held.secret]).group),
  external: ({ info, link }) => {
    const { group, commit } = Group.external(core, device, bytes(info), bytes(link));
    held.group = group;
    return hex(commit);
  },
  commit: ({ adds, removes }) => {
    const { message, welcome } = held.group.commit({ adds: adds.map(bytes), removes });
    held.group.apply();
    return [hex(message), hex(welcome)];
  },
  process: ({ message }) => held.group.process(bytes(message)).kind,
  info: () => hex(held.group.groupInfo()),
  names: () => held.group.members().map(({ leaf, identity, device: id }) => [leaf, identity, id]),
  secrets: () => [hex(held.group.authenticator()), hex(held.group.exporter("ting media", bytes("00ff"), 16))],
};

for await (const line of createInterface({ input: process.stdin })) {
  const { verb, ...request } = JSON.parse(line);
  let answer;
  try {
    answer = { result: does[verb](request) ?? null };
  } catch (error) {
    answer = { failure: error.failure ?? String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
