import { describe, expect, it, vi } from "vitest";
import { type Language, loadTexts } from "./index";
import { type Key, languageInUse, nameProduct, setTexts, subscribe, translator } from "./translate";

async function speak(language: Language): Promise<void> {
  setTexts(language, await loadTexts(language));
}

describe("a text", () => {
  it("is of its kind and language, with what it names", async () => {
    await speak("en");
    expect(translator("translation")("call.nameYou", { name: "Ada" })).toBe("Ada (you)");
    expect(translator("media")("reactions.said", { name: "{{what}} $&", what: "clap" })).toBe("{{what}} $&: clap");
    await speak("zh-CN");
    expect(translator("translation")("call.nameYou", { name: "Ada" })).toBe("Ada（你）");
  });

  it("keeps a name that runs in the other direction to itself", async () => {
    await speak("en");
    expect(translator("translation")("call.nameYou", { name: "عمر" })).toBe("\u2068عمر\u2069 (you)");
    await speak("ar");
    const [own, other] = ["عمر", "Ada"].map((name) => translator("translation")("call.nameYou", { name }));
    expect([own, other].map((text) => text?.includes("\u2068"))).toEqual([false, true]);
  });

  it("has the form that its number needs", async () => {
    await speak("en");
    expect([1, 2].map((count) => translator("translation")("call.people", { count }))).toEqual(["1 person", "2 people"]);
    await speak("ar");
    const said = [0, 1, 2, 3, 11, 100].map((count) => translator("translation")("call.people", { count }));
    expect(new Set(said).size).toBe(6);
    for (const text of said) expect(text).not.toContain("{{");
  });

  it("names the product, unless it is told another name", async () => {
    await speak("en");
    nameProduct("Hall");
    const texts = await loadTexts("en");
    setTexts("en", { ...texts, drawing: { tools: "{{app}} of {{nobody}}" } });
    expect(translator("drawing")("tools")).toBe("Hall of ");
    expect(translator("drawing")("tools", { app: "Room", nobody: 7 })).toBe("Room of 7");
  });

  it("that is not there is its key", async () => {
    await speak("en");
    for (const key of ["nothing.of.that", "call", "constructor", "call.people.length"]) expect(translator("translation")(key as Key)).toBe(key);
  });
});

it("whoever shows texts hears of another language, and gets other functions then only", async () => {
  await speak("en");
  const heard = vi.fn();
  const stop = subscribe(heard);
  const before = translator("hosts");
  expect(translator("hosts")).toBe(before);
  await speak("de");
  expect([heard.mock.calls.length, languageInUse(), translator("hosts") === before]).toEqual([1, "de", false]);
  stop();
  await speak("en");
  expect(heard).toHaveBeenCalledTimes(1);
});
