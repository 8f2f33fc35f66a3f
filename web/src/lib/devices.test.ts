import { afterEach, describe, expect, it, vi } from "vitest";
import { deviceProblem, groupDevices } from "./devices";

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("deviceProblem", () => {
  it.each([
    ["NotAllowedError", "denied"],
    ["SecurityError", "denied"],
    ["NotFoundError", "missing"],
    ["OverconstrainedError", "missing"],
    ["NotReadableError", "busy"],
    ["AbortError", "busy"],
    ["SomethingNew", "unknown"],
  ])("%s means %s", (name, problem) => {
    vi.stubGlobal("navigator", { mediaDevices: {} });
    expect(deviceProblem(new DOMException("x", name))).toBe(problem);
  });

  it("an insecure page has no mediaDevices, whatever the error says", () => {
    vi.stubGlobal("navigator", {});
    expect(deviceProblem(new DOMException("x", "NotAllowedError"))).toBe("insecure");
  });
});

describe("groupDevices", () => {
  it("leaves out devices that cannot be chosen yet", () => {
    const device = (kind: MediaDeviceKind, deviceId: string) => ({ kind, deviceId }) as MediaDeviceInfo;
    const lists = groupDevices([device("videoinput", ""), device("audioinput", "a"), device("audiooutput", "b")]);
    expect(lists.videoinput).toEqual([]);
    expect(lists.audioinput.map((entry) => entry.deviceId)).toEqual(["a"]);
    expect(lists.audiooutput.map((entry) => entry.deviceId)).toEqual(["b"]);
  });
});
