import { beforeAll, describe, expect, it } from "vitest";
import { LANGUAGES, loadTexts } from "../i18n";
import { addTexts, setTexts, translator } from "../i18n/translate";
import type { SwitchMark } from "./lines";
import { sentenceOf } from "./sentences";
import { loadLineTexts } from "./texts";

const LOWERED: SwitchMark = { atMs: 0, what: "lowered", cause: "line", of: "ada", isScreen: false, height: 360, fromHeight: 720 };
const say = (mark: SwitchMark) => sentenceOf(translator("lines"), mark, (identity) => (identity === "ada" ? "Ada" : "?"));

async function use(language: (typeof LANGUAGES)[number]): Promise<void> {
  setTexts(language, await loadTexts(language));
  addTexts(language, "lines", await loadLineTexts(language));
}

describe("sentenceOf", () => {
  beforeAll(() => use("en"));

  it("says what decided a switch, of whose picture, and from which size to which", () => {
    expect(say(LOWERED)).toBe("Line too slow: camera of Ada (\u2066720p → 360p\u2069)");
    expect(say({ ...LOWERED, what: "paused", cause: "wish", height: null })).toBe("Paused, not visible: camera of Ada");
    expect(say({ ...LOWERED, what: "resumed", fromHeight: null, isScreen: true })).toBe("Came back: screen of Ada (\u2066360p\u2069)");
    expect(say({ ...LOWERED, what: "raised", cause: "source", height: null, fromHeight: null })).toBe("Sent larger by its sender: camera of Ada");
    expect(sentenceOf(translator("lines"), { atMs: 0, what: "broke" }, String)).toBe("The connection broke off");
  });

  it.each(LANGUAGES)("has words of its own in %s", async (language) => {
    await use(language);
    const said = say(LOWERED);
    expect(said).toContain("720p → 360p");
    expect(said).toContain("Ada");
    expect(said.startsWith("Line too slow")).toBe(language === "en");
  });

  it("takes no texts of a language that is not in use any more", async () => {
    await use("de");
    addTexts("fr", "lines", await loadLineTexts("fr"));
    expect(say(LOWERED)).toContain("Kamera");
  });
});
