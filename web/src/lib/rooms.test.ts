import { describe, expect, it } from "vitest";
import { isRoomName, newRoomName, parseRoomInput, roomFromPath, roomNameProblem, roomPath, suggestRoomName } from "./rooms";

const ORIGIN = "https://ting.example";

describe("newRoomName", () => {
  it("has three groups without look-alike characters and is a valid name", () => {
    for (let round = 0; round < 200; round++) {
      const name = newRoomName();
      expect(name).toMatch(/^[a-hjkmnp-z2-9]{4}(-[a-hjkmnp-z2-9]{4}){2}$/);
      expect(isRoomName(name)).toBe(true);
    }
  });

  it("skips bytes that would favour some letters", () => {
    let first = true;
    const name = newRoomName((bytes) => {
      bytes.fill(first ? 255 : 1);
      first = false;
    });
    expect(name).toBe("bbbb-bbbb-bbbb");
  });

  it("does not repeat", () => {
    expect(new Set(Array.from({ length: 500 }, () => newRoomName())).size).toBe(500);
  });
});

describe("parseRoomInput", () => {
  it.each([
    ["stand-up", "stand-up"],
    ["  Team Blue  ", "Team-Blue"],
    ["https://ting.example/r/stand-up", "stand-up"],
    ["https://ting.example/r/%E5%8E%85?debug=1#x", "厅"],
    ["ting.example/r/abc", "abc"],
    ["/r/abc/", "abc"],
    ["听厅", "听厅"],
    ["cafe\u0301", "caf\u00e9"],
  ])("%s is the room %s", (text, room) => {
    expect(parseRoomInput(text, ORIGIN)).toEqual({ ok: true, room });
  });

  it.each([
    ["", "empty"],
    ["   ", "empty"],
    ["-lead", "invalid"],
    ["a/b", "invalid"],
    ["https://ting.example/other", "invalid"],
    ["https://ting.example/r/%E0%A4%A", "invalid"],
    ["<script>", "invalid"],
    ["x".repeat(65), "invalid"],
    ["javascript:alert(1)//r/x", "invalid"],
    ["https://evil.example/r/abc", "foreign"],
  ])("%s is refused as %s", (text, problem) => {
    expect(parseRoomInput(text, ORIGIN)).toEqual({ ok: false, problem });
  });
});

describe("paths", () => {
  it("come back as they went", () => {
    for (const room of ["abc", "厅", "a.b_c-d"]) expect(roomFromPath(roomPath(room))).toBe(room);
  });

  it.each(["/", "/r/", "/r/a/b", "/x/abc", "/r/%"])("%s is no room", (path) => {
    expect(roomFromPath(path)).toBeNull();
  });
});

describe("a room name that is not allowed", () => {
  it.each([
    ["den", null, "den"],
    ["my room!", "characters", "my-room"],
    ["_den", "start", "den"],
    ["a".repeat(65), "long", "a".repeat(64)],
    ["会议 室", "characters", "会议-室"],
    ["<b>", "characters", "b"],
    ["???", "characters", null],
    ["...", "start", null],
  ])("%s: %s, better %s", (name, problem, better) => {
    expect(roomNameProblem(name)).toBe(problem);
    expect(suggestRoomName(name)).toBe(better);
  });
});
