import { beforeEach, describe, expect, it, vi } from "vitest";
import { DEFAULT_PREFS, loadPrefs } from "./prefs";
import { parseVisit, Visit } from "./visit";

function memory(): Storage {
  const values = new Map<string, string>();
  return {
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => void values.set(key, value),
    removeItem: (key: string) => void values.delete(key),
  } as Storage;
}

beforeEach(() => {
  vi.stubGlobal("window", { localStorage: memory(), sessionStorage: memory() });
  return () => {
    vi.unstubAllGlobals();
  };
});

describe("Visit", () => {
  it("comes back from a reload as it was", () => {
    const visit = new Visit("den");
    visit.choose({ name: "Ada", micOn: false, cameraOn: false, micId: "m", cameraId: "c", speakerId: "s", stage: "speaker" });
    visit.note({ panel: "chat", draft: "half a sent" });
    expect(new Visit("den").state).toEqual({
      name: "Ada", micOn: false, cameraOn: false, micId: "m", cameraId: "c", speakerId: "s", stage: "speaker",
      noise: "browser", background: "none", captions: "medium", ownCaptions: false, ownView: "tile", audioOnly: false,
      shortcuts: true, keys: DEFAULT_PREFS.keys, panel: "chat", draft: "half a sent",
    });
  });

  it("is not made louder by what another tab chose meanwhile", () => {
    new Visit("den").choose({ micOn: false });
    new Visit("hall").choose({ micOn: true });
    expect(new Visit("den").state.micOn).toBe(false);
  });

  it("keeps a host's mute for this stay, and not as a preference", () => {
    const visit = new Visit("den");
    visit.choose({ micOn: true });
    visit.note({ micOn: false });
    expect(new Visit("den").state.micOn).toBe(false);
    expect(loadPrefs().micOn).toBe(true);
  });

  it("has single-key shortcuts on until they are switched off, in every room", () => {
    expect(new Visit("den").state.shortcuts).toBe(true);
    new Visit("den").choose({ shortcuts: false });
    expect([new Visit("den").state.shortcuts, new Visit("hall").state.shortcuts]).toEqual([false, false]);
  });

  it("tells of each change", () => {
    const visit = new Visit("den");
    const heard: boolean[] = [];
    const stop = visit.subscribe(() => heard.push(visit.snapshot().micOn));
    visit.choose({ micOn: false });
    stop();
    visit.choose({ micOn: true });
    expect(heard).toEqual([false]);
  });
});

describe("parseVisit", () => {
  it.each([null, "x", [], { micOn: "yes", panel: "attic", stage: 7, draft: {}, name: null }])(
    "%j falls back to the preferences",
    (value) => {
      const prefs = { ...DEFAULT_PREFS, name: "Ada", micOn: false };
      expect(parseVisit(value, prefs)).toEqual({ ...prefs, panel: null, draft: "" });
    },
  );
});
