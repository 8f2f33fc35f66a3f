import { describe, expect, it, vi } from "vitest";
import { ApiError } from "../lib/api";
import { type OnBytes, RoomArchives } from "./archives";

/** Archives whose transport the test plays. */
function makeArchives() {
  const saved: Blob[] = [];
  const moves: { onBytes: OnBytes; signal: AbortSignal; done: (value: never) => void; fail: (error: unknown) => void }[] = [];
  const move = <Value>(onBytes: OnBytes, signal: AbortSignal) =>
    new Promise<Value>((done, fail) => {
      moves.push({ onBytes, signal, done, fail });
    });
  const transport = { take: move<Blob>, bring: (_file: Blob, onBytes: OnBytes, signal: AbortSignal) => move<never>(onBytes, signal) };
  return { archives: new RoomArchives(transport, (archive) => void saved.push(archive)), moves, saved };
}

const archive = new Blob(["tar"]) as never;
const kindOf = (archives: RoomArchives) => archives.snapshot().kind;

describe("an archive", () => {
  it("is taken with how far it is, and saved when it is whole", async () => {
    const { archives, moves, saved } = makeArchives();
    const taking = archives.take();
    expect(archives.snapshot()).toEqual({ kind: "taking", doneBytes: 0, totalBytes: 0 });
    moves[0]?.onBytes(2, 3);
    expect(archives.snapshot()).toEqual({ kind: "taking", doneBytes: 2, totalBytes: 3 });
    moves[0]?.done(archive);
    await taking;
    expect([kindOf(archives), saved]).toEqual(["taken", [archive]]);
  });

  it("is brought in, read by the server, and told of", async () => {
    const { archives, moves } = makeArchives();
    const bringing = archives.bring(new Blob(["tar"]));
    expect(archives.snapshot()).toEqual({ kind: "bringing", doneBytes: 0, totalBytes: 3 });
    moves[0]?.onBytes(3, 3);
    expect(kindOf(archives)).toBe("checking");
    const imported = { entries: 2, files: 1, leftOut: 0 };
    moves[0]?.done(imported as never);
    await bringing;
    expect(archives.snapshot()).toEqual({ kind: "brought", imported });
  });

  it("that is cancelled is not saved, whatever comes of it later", async () => {
    const { archives, moves, saved } = makeArchives();
    const taking = archives.take();
    archives.cancel();
    expect(moves[0]?.signal.aborted).toBe(true);
    moves[0]?.onBytes(3, 3);
    moves[0]?.done(archive);
    await taking;
    expect([kindOf(archives), saved]).toEqual(["idle", []]);
  });

  it.each([
    [new ApiError("invalid_archive", ""), "invalid_archive"],
    [new ApiError("of the future", ""), "unknown"],
    [new TypeError("broken"), "unknown"],
  ])("that fails says why (%#)", async (error, problem) => {
    const { archives, moves } = makeArchives();
    const taking = archives.take();
    moves[0]?.fail(error);
    await vi.waitFor(() => {
      expect(archives.snapshot()).toEqual({ kind: "failed", problem });
    });
    await taking;
  });
});
