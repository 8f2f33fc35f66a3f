// How long the MLS library of sealed rooms takes, by members: what the page's worker does, measured in Node.
//
//   node benchmarks/bench_mls.mjs [members ...]      2 50 500 if none are named
//
// Prints a table for README.md, in milliseconds of CPU so that a busy machine does not change it. Two trees of each size: all members added by one commit, the worst case for the next
// commits; and all joined by link one after the other, as a room fills.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const web = new URL("../web/", import.meta.url);
const { runnerImport } = await import(pathToFileURL(createRequire(new URL("package.json", web)).resolve("vite")).href);
const load = async (name) =>
  (await runnerImport(new URL(`src/sealed/mls/${name}.ts`, web).pathname, { configFile: false, logLevel: "error" })).module;
const { Core } = await load("core");
const { Group, newDevice, newKeyPackage } = await load("mls");

const bytes = (text) => new TextEncoder().encode(text);
const LINK = bytes("the secret of the link, 32 bytes");
const wasm = readFileSync(new URL("src/sealed/mls/ting_mls.wasm", web));
const core = await Core.start(wasm); // also warms the file and the compiler's cache

const kilobytes = (data) => `${(data.length / 1000).toFixed(1)} kB`;
let names = 0;
const someone = () => newDevice(core, `person ${(names += 1)}`, `device ${names}`);

/** CPU that this process used since `before`, in milliseconds. */
function cpuMs(before) {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Runs `act` and notes its milliseconds; a size may be added to the same cell. */
function timed(cells, name, act, size = () => null) {
  const before = process.cpuUsage();
  const result = act();
  const spentMs = cpuMs(before);
  const data = size(result);
  cells.set(name, `${spentMs.toFixed(spentMs < 10 ? 1 : 0)} ms${data === null ? "" : `, ${kilobytes(data)}`}`);
  return result;
}

/** Rooms of `members`: the first one's group, and one who follows. */
const trees = {
  "added at once": (members, cells) => {
    const first = timed(cells, "create", () => Group.create(core, someone(), bytes("room"), LINK, bytes("sealed")));
    const devices = Array.from({ length: members - 1 }, someone);
    const packages = devices.map((device, at) =>
      at === 0 ? timed(cells, "key package", () => newKeyPackage(core, device), (made) => made.message) : newKeyPackage(core, device),
    );
    const adds = packages.map(({ message }) => message);
    const { welcome } = timed(cells, "commit: add all", () => first.commit({ adds }), (made) => made.message);
    first.apply();
    const join = () => Group.welcome(core, devices[0], welcome, [packages[0].secret]).group;
    return { first, follower: timed(cells, "join by welcome", join, () => welcome) };
  },
  "one by one": (members, cells) => {
    const first = Group.create(core, someone(), bytes("room"), LINK, bytes("sealed"));
    const joined = Group.external(core, someone(), first.groupInfo(), LINK);
    first.process(joined.commit);
    const before = process.cpuUsage();
    for (let count = 2; count < members; count += 1) {
      const { group, commit } = Group.external(core, someone(), joined.group.groupInfo(), LINK);
      first.process(commit);
      joined.group.process(commit);
      group.forget();
    }
    cells.set("all joins", members > 2 ? `${(cpuMs(before) / 1000).toFixed(1)} s` : "");
    return { first, follower: joined.group };
  },
};

function measure(members, tree) {
  const cells = new Map([["members", members], ["tree", tree]]);
  const { first, follower } = trees[tree](members, cells);
  const exchange = (name, changes) => {
    const made = timed(cells, `commit: ${name}`, () => first.commit(changes), ({ message }) => message);
    first.apply();
    timed(cells, `process: ${name}`, () => follower.process(made.message));
  };
  exchange("add one", { adds: [newKeyPackage(core, someone()).message] });
  exchange("remove one", { removes: [first.members().at(-1).leaf] });
  const info = timed(cells, "group info", () => first.groupInfo(), (made) => made);
  const external = timed(cells, "join by link", () => Group.external(core, someone(), info, LINK), ({ commit }) => commit);
  timed(cells, "process: join by link", () => follower.process(external.commit));
  first.process(external.commit);
  const saved = timed(cells, "save", () => follower.save(), (made) => made);
  const restored = timed(cells, "restore", () => Group.restore(core, saved));
  if (new Set([first, external.group, restored].map((group) => group.authenticator().join())).size !== 1)
    throw new Error("the members do not agree");
  for (const group of [first, follower, external.group, restored]) group.forget();
  return cells;
}

const before = process.cpuUsage();
await Core.start(wasm);
const loadMs = cpuMs(before);
const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [2, 50, 500];
measure(2, "added at once"); // the first calls run code that is not yet optimised
const columns = sizes.flatMap((members) => Object.keys(trees).map((tree) => measure(members, tree)));
const rows = [...new Set(columns.flatMap((cells) => [...cells.keys()]))];
console.log(`Load and compile: ${loadMs.toFixed(0)} ms, ${kilobytes(wasm)}\n`);
rows.forEach((row, at) => {
  console.log(`| ${[row, ...columns.map((cells) => cells.get(row) ?? "")].join(" | ")} |`);
  if (at === 0) console.log(`|${"---|".repeat(columns.length + 1)}`);
});
