import { describe, expect, it, vi } from "vitest";
import { ApiError } from "../lib/api";
import type { Draft } from "../log/outbox";
import { hasFiles, pastedFiles } from "./given";
import { MAX_PICTURE_BYTES, mayBePicture, pictureType, placeFor } from "./picture";
import { codeOf, fileProblem, isWorthTrying } from "./problem";
import { type KeptUpload, keptUploads, MAX_KEPT_BYTES, type UploadStore } from "./keptUploads";
import { type FileKeys, type Send, UploadQueue } from "./queue";
import { sizeText } from "./size";

const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

describe("pictures", () => {
  it.each([
    ["\x89PNG\r\n\x1a\n....", "image/png"],
    ["\xff\xd8\xff\xe0....", "image/jpeg"],
    ["GIF87a....", "image/gif"],
    ["GIF89a....", "image/gif"],
    ["RIFF....WEBPVP8 ", "image/webp"],
    ["....ftypavif....", "image/avif"],
    ["....ftypavis....", "image/avif"],
    ["....ftypisom....", null],
    ["RIFF....WAVE", null],
    ['<svg xmlns="http://www.w3.org/2000/svg">', null],
    ["\x89PNG", null],
    ["", null],
  ])("%j is %s", (text, type) => {
    expect(pictureType(bytes(text))).toBe(type);
  });

  it("are fetched up to a size, and never as SVG", () => {
    expect(mayBePicture("image/png", MAX_PICTURE_BYTES)).toBe(true);
    expect(mayBePicture("image/png", MAX_PICTURE_BYTES + 1)).toBe(false);
    expect(mayBePicture("image/png", 0)).toBe(false);
    expect(mayBePicture("image/svg+xml", 100)).toBe(false);
    expect(mayBePicture("text/html", 100)).toBe(false);
  });

  it.each([
    [520, 100, { width: 260, height: 50 }],
    [100, 50, { width: 100, height: 50 }],
    [240, 480, { width: 120, height: 240 }],
    [50_000, 1, { width: 260, height: 40 }],
    [0, 10, { width: 240, height: 160 }],
    ["9", 10, { width: 240, height: 160 }],
    [undefined, undefined, { width: 240, height: 160 }],
    [1e9, 10, { width: 240, height: 160 }],
  ])("of %s × %s have their place", (width, height, place) => {
    expect(placeFor(width, height)).toEqual(place);
  });
});

describe("problems", () => {
  const answer = (status: number, body: string) => ({
    originalRequest: {},
    originalResponse: { getStatus: () => status, getBody: () => body },
  });

  it.each([
    [answer(413, '{"error":{"code":"quota_exceeded","message":""}}'), "quota_exceeded", "quota_exceeded"],
    [answer(507, '{"error":{"code":"storage_full","message":""}}'), "storage_full", "storage_full"],
    [answer(502, "<html>"), "unavailable", "unavailable"],
    [answer(429, ""), "rate_limited", "rate_limited"],
    [answer(409, '{"error":{"code":"upload_conflict"}}'), "upload_conflict", "unavailable"],
    [{ originalRequest: {}, originalResponse: null }, "unreachable", "unreachable"],
    [{ originalRequest: {}, causingError: new ApiError("banned", "") }, "banned", "unknown"],
    [new ApiError("file_not_found", ""), "file_not_found", "file_not_found"],
    [new Error("cannot read"), "unknown", "unknown"],
  ])("%# have their code and their sentence", (error, code, problem) => {
    expect(codeOf(error)).toBe(code);
    expect(fileProblem(error)).toBe(problem);
  });

  it("that pass are tried again, and a token only so often", () => {
    for (const code of ["unreachable", "unavailable", "rate_limited", "upload_conflict"]) expect(isWorthTrying(code, 5)).toBe(true);
    for (const code of ["storage_full", "file_too_large", "quota_exceeded", "forbidden"]) expect(isWorthTrying(code, 0)).toBe(false);
    expect([0, 1, 2].map((attempt) => isWorthTrying("unauthorized", attempt))).toEqual([true, true, false]);
  });
});

describe("what is pasted", () => {
  const files = [new File(["x"], "x.png")];

  it("is files, unless it is a text as well", () => {
    expect(pastedFiles({ types: ["Files"], files })).toEqual(files);
    expect(pastedFiles({ types: ["text/html", "Files"], files })).toEqual(files);
    expect(pastedFiles({ types: ["text/plain", "text/html", "Files"], files })).toEqual([]);
    expect(pastedFiles({ types: ["text/plain"], files: [] })).toEqual([]);
    expect(hasFiles({ types: ["text/plain"] })).toBe(false);
  });
});

it.each([
  [0, "0 bytes"],
  [999, "999 bytes"],
  [1500, "2 kB"],
  [1_250_000, "1.3 MB"],
  [2_147_483_648, "2.1 GB"],
  [5e12, "5,000 GB"],
])("%s bytes are %s", (size, text) => {
  expect(sizeText(size, "en")).toBe(text);
});

/** A queue whose files arrive, or fail, when the test says so. */
function makeQueue(store: UploadStore | null = null, keys?: FileKeys) {
  const tries: { name: string; url: string | null; sent: (bytes: number) => void; done: (id: string) => void; fail: (error: unknown) => void }[] = [];
  const cancelled: string[] = [];
  const written: Draft[] = [];
  const send: Send = (file, url, sent) => {
    const promise = new Promise<string>((done, fail) => {
      tries.push({ name: file.name, url, sent, done, fail });
    });
    return { done: promise, url: () => `/files/${file.name}`, cancel: () => void cancelled.push(file.name) };
  };
  const write = (draft: Draft) => void written.push(draft);
  const measure = (file: File) => Promise.resolve(file.type === "image/png" ? { width: 3, height: 2 } : null);
  const discard = (url: string) => void cancelled.push(url);
  return { queue: new UploadQueue({ send, write, measure, store, keys, discard }), tries, cancelled, written };
}

const settled = (check: () => void) => vi.waitFor(check);
const [png, txt] = [new File(["abc"], "a.png", { type: "image/png" }), new File(["de"], "b.txt", { type: "text/plain" })];

describe("the queue", () => {
  it("sends one after the other, and says so in the log", async () => {
    const { queue, tries, written } = makeQueue();
    queue.add([png, txt], "bob");
    expect(tries.map(({ name }) => name)).toEqual(["a.png"]);
    tries[0]?.sent(2);
    expect(queue.snapshot().map(({ state, sentBytes }) => [state, sentBytes])).toEqual([["sending", 2], ["waiting", 0]]);
    tries[0]?.done("one");
    await settled(() => {
      expect(tries).toHaveLength(2);
    });
    tries[1]?.done("two");
    await settled(() => {
      expect(queue.snapshot()).toEqual([]);
    });
    expect(written).toEqual([
      { verb: "file", body: { file_id: "one", name: "a.png", size: 3, type: "image/png", width: 3, height: 2 }, to: "bob" },
      { verb: "file", body: { file_id: "two", name: "b.txt", size: 2, type: "text/plain" }, to: "bob" },
    ]);
  });

  it("goes on with the next one when one is cancelled, of which nothing is written", async () => {
    const { queue, tries, cancelled, written } = makeQueue();
    queue.add([png, txt]);
    queue.cancel(queue.snapshot()[0]?.id ?? 0);
    expect(cancelled).toEqual(["a.png"]);
    expect(tries.map(({ name }) => name)).toEqual(["a.png", "b.txt"]);
    tries[0]?.done("late");
    tries[1]?.done("two");
    await settled(() => {
      expect(written.map(({ body }) => body.file_id)).toEqual(["two"]);
    });
  });

  it("keeps what failed, and goes on from where it was", async () => {
    const { queue, tries, written } = makeQueue();
    queue.add([txt]);
    tries[0]?.fail({ originalRequest: {}, originalResponse: null });
    await settled(() => {
      expect(queue.snapshot()[0]).toMatchObject({ state: "failed", problem: "unreachable" });
    });
    queue.tryNow();
    expect(tries[1]?.url).toBe("/files/b.txt");
    tries[1]?.fail(new ApiError("storage_full", ""));
    await settled(() => {
      expect(queue.snapshot()[0]?.problem).toBe("storage_full");
    });
    queue.tryNow();
    expect(tries).toHaveLength(2);
    queue.retry(queue.snapshot()[0]?.id ?? 0);
    tries[2]?.done("two");
    await settled(() => {
      expect(written).toHaveLength(1);
    });
  });

  it("ends with the visit", () => {
    const { queue, cancelled } = makeQueue();
    queue.add([png, txt]);
    queue.stop();
    expect(cancelled).toEqual(["a.png"]);
    expect(queue.snapshot()).toEqual([]);
  });
});

/** What a browser keeps, without the browser. */
function makeStore(kept = new Map<string, KeptUpload>()) {
  const store: UploadStore = {
    take: () => Promise.resolve([...kept.values()]),
    keep: (upload) => Promise.resolve(void kept.set(upload.id, upload)),
    forget: (id) => Promise.resolve(void kept.delete(id)),
  };
  return { store, kept };
}

/** As a browser gives it, without all its bytes. */
function fileOf(name: string, size: number, lastModified = 5): File {
  const file = new File([], name, { lastModified });
  return Object.defineProperty(file, "size", { value: size });
}

describe("a reload", () => {
  it("goes on by itself with what the browser keeps, and says it once", async () => {
    const { store, kept } = makeStore();
    const before = makeQueue(store);
    before.queue.add([txt], "bob");
    before.tries[0]?.sent(1);
    expect([...kept.values()]).toMatchObject([{ url: "/files/b.txt", name: "b.txt", to: "bob", file: txt }]);

    const after = makeQueue(store);
    await after.queue.restore();
    expect(after.tries).toMatchObject([{ name: "b.txt", url: "/files/b.txt" }]);
    after.tries[0]?.done("two");
    await settled(() => {
      expect(after.written).toMatchObject([{ body: { file_id: "two" }, to: "bob" }]);
    });
    expect(kept.size).toBe(0);
  });

  it("asks for a large file again, and takes no other one for it", async () => {
    const { store, kept } = makeStore();
    const film = fileOf("film.mp4", MAX_KEPT_BYTES + 1);
    const before = makeQueue(store);
    before.queue.add([film]);
    before.tries[0]?.sent(1);

    const { queue, tries } = makeQueue(store);
    await queue.restore();
    expect(queue.snapshot()).toMatchObject([{ name: "film.mp4", state: "interrupted" }]);
    expect(tries).toEqual([]);
    const id = queue.snapshot()[0]?.id ?? 0;
    for (const other of [fileOf("other.mp4", film.size), fileOf("film.mp4", film.size + 1), fileOf("film.mp4", film.size, 6)]) {
      queue.choose(id, other);
      expect(queue.snapshot()).toMatchObject([{ state: "interrupted", problem: "other_file" }]);
    }
    queue.choose(id, film);
    expect(tries).toMatchObject([{ name: "film.mp4", url: "/files/film.mp4" }]);
    expect([...kept.values()]).toMatchObject([{ file: null }]);
  });

  it("goes on when the same file is sent again to the same people", async () => {
    const { store } = makeStore();
    const film = fileOf("film.mp4", MAX_KEPT_BYTES + 1);
    const before = makeQueue(store);
    before.queue.add([film], "bob");
    before.tries[0]?.sent(1);

    const { queue, tries } = makeQueue(store);
    await queue.restore();
    queue.add([film]);
    expect(tries.map(({ url }) => url)).toEqual([null]);
    queue.add([film], "bob");
    tries[0]?.done("one");
    await settled(() => {
      expect(tries.map(({ url }) => url)).toEqual([null, "/files/film.mp4"]);
    });
  });

  it("leaves nothing of what is cancelled, or of a room that one leaves", async () => {
    const { store, kept } = makeStore();
    const large = ["a", "b"].map((name) => fileOf(name, MAX_KEPT_BYTES + 1));
    for (const file of large) {
      const before = makeQueue(store);
      before.queue.add([file]);
      before.tries[0]?.sent(1);
    }
    const { queue, cancelled } = makeQueue(store);
    await queue.restore();
    queue.cancel(queue.snapshot()[0]?.id ?? 0);
    expect(cancelled).toEqual(["/files/a"]);
    queue.stop();
    expect(cancelled).toEqual(["/files/a", "/files/b"]);
    expect(kept.size).toBe(0);
  });

  it("goes on with the same bytes under the same key where the room is sealed, and with no others", async () => {
    const { store, kept } = makeStore();
    const before = makeQueue(store, { keyOf: (file) => `key of ${file.name}`, useKey: () => undefined });
    before.queue.add([txt, fileOf("film.mp4", MAX_KEPT_BYTES + 1)]);
    expect([...kept.values()]).toMatchObject([{ name: "b.txt", key: "key of b.txt", file: txt }]);

    const used: [File, string][] = [];
    const after = makeQueue(store, { keyOf: () => "a new key", useKey: (file, key) => used.push([file, key]) });
    await after.queue.restore();
    expect(used).toEqual([[txt, "key of b.txt"]]);
    expect(after.tries.map(({ name }) => name)).toEqual(["b.txt"]);
  });

  it("brings nothing into a room that was left meanwhile, or where the browser keeps nothing", async () => {
    const { queue, tries } = makeQueue(makeStore(new Map([["x", { id: "x", url: "", name: "b.txt", sizeBytes: 2, changedMs: 0, to: "", key: "", file: txt }]])).store);
    const restoring = queue.restore();
    queue.stop();
    await restoring;
    expect([queue.snapshot(), tries]).toEqual([[], []]);
    expect(keptUploads("room", "me")).toBeNull();
  });
});
