import { describe, expect, it } from "vitest";
import { DEFAULT_KEYS, isTalkKey, keyLabel, keyOfPress, parseKeys, shortcutOf } from "./shortcuts";

const press = { key: "m", code: "KeyM", shiftKey: false, altKey: false, ctrlKey: false, metaKey: false, repeat: false, isComposing: false };

describe("shortcutOf", () => {
  it("knows its keys in both cases", () => {
    expect(shortcutOf(press, false, DEFAULT_KEYS)).toBe("mic");
    expect(shortcutOf({ ...press, key: "V" }, false, DEFAULT_KEYS)).toBe("camera");
    expect(shortcutOf({ ...press, key: "x" }, false, DEFAULT_KEYS)).toBeNull();
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
    expect(shortcutOf({ ...press, key, code }, false, DEFAULT_KEYS)).toBe(shortcut);
  });

  it("keeps quiet while typing, composing, repeating or with a modifier", () => {
    expect(shortcutOf(press, true, DEFAULT_KEYS)).toBeNull();
    for (const flag of ["altKey", "ctrlKey", "metaKey", "repeat", "isComposing"] as const) {
      expect(shortcutOf({ ...press, [flag]: true }, false, DEFAULT_KEYS)).toBeNull();
    }
  });

  it("goes by the keys that one has chosen", () => {
    const keys = { ...DEFAULT_KEYS, mic: "x", chat: "" };
    expect(shortcutOf({ ...press, key: "x" }, false, keys)).toBe("mic");
    expect(shortcutOf(press, false, keys)).toBeNull();
    expect(shortcutOf({ ...press, key: "" }, false, keys)).toBeNull();
    expect(keyLabel(keys, "mic")).toBe("X");
    expect(keyLabel(keys, "chat")).toBeUndefined();
    expect(keyLabel(null, "mic")).toBeUndefined();
  });
});

describe("keyOfPress", () => {
  it.each([
    ["a letter", { key: "K" }, "k"],
    ["a digit", { key: "7" }, "7"],
    ["a sign", { key: "#" }, "#"],
    ["a Cyrillic letter, by its place", { key: "ь", code: "KeyM" }, "m"],
    ["no character", { key: "Tab" }, ""],
    ["the space bar, which lets one talk", { key: " " }, ""],
    ["with a modifier", { ctrlKey: true }, ""],
  ])("%s", (_what, change, key) => {
    expect(keyOfPress({ ...press, ...change })).toBe(key);
  });
});

describe("parseKeys", () => {
  it("keeps what was chosen", () => {
    expect(parseKeys({ mic: "x", chat: "" })).toEqual({ ...DEFAULT_KEYS, mic: "x", chat: "" });
  });

  it("lets no shortcut that is new take a key away from another", () => {
    expect(parseKeys({ mic: "e" })).toEqual({ ...DEFAULT_KEYS, mic: "e", react: "" });
  });

  it.each([[null], ["m"], [{ mic: 7 }], [{ mic: "mm" }], [{ mic: " " }], [{ mic: "X" }], [{ mic: "\n" }], [{ mic: "x", chat: "x" }]])(
    "is as it was made for %j",
    (value) => {
      expect(parseKeys(value)).toEqual(DEFAULT_KEYS);
    },
  );
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
