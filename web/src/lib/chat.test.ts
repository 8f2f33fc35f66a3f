import { describe, expect, it } from "vitest";
import { appendMessage, type ChatMessage, cleanMessage, continues, MAX_MESSAGE_LENGTH, MAX_MESSAGES } from "./chat";

const message = (id: string, identity = "a", atMs = 0): ChatMessage => ({ id, identity, name: "A", text: "x", atMs, own: false });

describe("cleanMessage", () => {
  it.each([
    ["  hello \r\n you ", "hello \n you"],
    ["a\u0000b\u001bc\u202ed", "abcd"],
    ["\ud83d\ude00 ok", "\ud83d\ude00 ok"],
    ["x\ud83d", "x"],
    ["\ude00x", "x"],
    [" \n\t ", ""],
  ])("%j becomes %j", (raw, text) => {
    expect(cleanMessage(raw)).toBe(text);
  });

  it("is bounded and never ends in half a character", () => {
    const text = cleanMessage(`${"x".repeat(MAX_MESSAGE_LENGTH - 1)}\ud83d\ude00`);
    expect(text).toBe("x".repeat(MAX_MESSAGE_LENGTH - 1));
  });
});

describe("appendMessage", () => {
  it("keeps the newest and takes each id of a sender once", () => {
    let list: readonly ChatMessage[] = [];
    for (let index = 0; index < MAX_MESSAGES + 5; index++) list = appendMessage(list, message(`m${index}`));
    expect(list).toHaveLength(MAX_MESSAGES);
    expect(list[0]?.id).toBe("m5");
    expect(appendMessage(list, message("m9"))).toBe(list);
    expect(appendMessage(list, message("m9", "b")).at(-1)?.identity).toBe("b");
  });
});

describe("continues", () => {
  it("joins one person's messages within three minutes", () => {
    expect(continues(message("2", "a", 1000), message("1"))).toBe(true);
    expect(continues(message("2", "b", 1000), message("1"))).toBe(false);
    expect(continues(message("2", "a", 181_000), message("1"))).toBe(false);
    expect(continues(message("1"), undefined)).toBe(false);
  });
});
