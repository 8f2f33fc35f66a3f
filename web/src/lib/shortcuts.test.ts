import { describe, expect, it } from "vitest";
import { isTalkKey, keyOf, shortcutOf } from "./shortcuts";

const press = { key: "m", code: "KeyM", shiftKey: false, altKey: false, ctrlKey: false, metaKey: false, repeat: false, isComposing: false };

describe("shortcutOf", () => {
  it("knows its keys in both cases", () => {
    expect(shortcutOf(press, false)).toBe("mic");
    expect(shortcutOf({ ...press, key: "V" }, false)).toBe("camera");
    expect(shortcutOf({ ...press, key: "x" }, false)).toBeNull();
  });

  it.each([
    ["Cyrillic", "ь", "KeyM", "mic"],
    ["Greek", "μ", "KeyM", "mic"],
    ["Greek, shifted", "Λ", "KeyL", "layout"],
    ["Hebrew", "צ", "KeyM", "mic"],
    ["Arabic", "ر", "KeyV", "camera"],
    ["Hindi, a vowel sign", "े", "KeyS", "screen"],
    ["Korean", "ㅊ", "KeyC", "chat"],
    ["an input method", "Process", "KeyP", "people"],
    ["AZERTY's M", "m", "Semicolon", "mic"],
    ["AZERTY's comma in the place of M", ",", "KeyM", null],
    ["Dvorak's L in the place of P", "l", "KeyP", "layout"],
    ["Dvorak's P in the place of R", "p", "KeyR", "people"],
    ["German Ö in the place of the semicolon", "ö", "Semicolon", null],
    ["a Cyrillic letter in the place of a bracket", "х", "BracketLeft", null],
    ["a key without a letter", "Escape", "Escape", null],
    ["a question mark", "?", "Slash", "help"],
    ["AZERTY's question mark", "?", "KeyM", "help"],
    ["the Arabic question mark", "؟", "Slash", "help"],
    ["a slash", "/", "Slash", null],
  ])("%s", (_layout, key, code, shortcut) => {
    expect(shortcutOf({ ...press, key, code }, false)).toBe(shortcut);
  });

  it("keeps quiet while typing, composing, repeating or with a modifier", () => {
    expect(shortcutOf(press, true)).toBeNull();
    for (const flag of ["altKey", "ctrlKey", "metaKey", "repeat", "isComposing"] as const) {
      expect(shortcutOf({ ...press, [flag]: true }, false)).toBeNull();
    }
  });

  it("names its key", () => {
    expect(keyOf("layout")).toBe("L");
    expect(keyOf("help")).toBe("?");
  });
});

describe("isTalkKey", () => {
  const space = { ...press, key: " ", code: "Space" };

  it("is the space bar and nothing with it", () => {
    expect(isTalkKey(space)).toBe(true);
    expect(isTalkKey(press)).toBe(false);
    for (const flag of ["shiftKey", "altKey", "ctrlKey", "metaKey", "repeat", "isComposing"] as const) {
      expect(isTalkKey({ ...space, [flag]: true })).toBe(false);
    }
  });
});
