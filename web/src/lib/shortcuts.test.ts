import { describe, expect, it } from "vitest";
import { keyOf, shortcutOf } from "./shortcuts";

const press = { key: "m", altKey: false, ctrlKey: false, metaKey: false, repeat: false, isComposing: false };

describe("shortcutOf", () => {
  it("knows its keys in both cases", () => {
    expect(shortcutOf(press, false)).toBe("mic");
    expect(shortcutOf({ ...press, key: "V" }, false)).toBe("camera");
    expect(shortcutOf({ ...press, key: "x" }, false)).toBeNull();
  });

  it("keeps quiet while typing, composing, repeating or with a modifier", () => {
    expect(shortcutOf(press, true)).toBeNull();
    for (const flag of ["altKey", "ctrlKey", "metaKey", "repeat", "isComposing"] as const) {
      expect(shortcutOf({ ...press, [flag]: true }, false)).toBeNull();
    }
  });

  it("names its key", () => {
    expect(keyOf("layout")).toBe("L");
  });
});
