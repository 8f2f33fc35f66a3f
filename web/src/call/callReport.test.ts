import { describe, expect, it } from "vitest";
import { callReportOf } from "./callReport";

describe("callReportOf", () => {
  it("says what is measured, and nobody's name", () => {
    const figures = { size: { width: 640, height: 360 }, framesPerS: 24.6, bitsPerS: 512_345, lossPercent: 1.25, delayMs: 41.4, codec: "VP8", path: "udp", layers: null } as const;
    const nothing = { size: null, framesPerS: null, bitsPerS: null, lossPercent: null, delayMs: null, codec: null, path: null, layers: null };
    const report = callReportOf({
      origin: "https://call.example",
      at: new Date(0),
      browser: "Browser/1",
      connection: "connected",
      quality: "good",
      people: 2,
      tracks: [
        { who: "me", source: "microphone", muted: true, figures: null },
        { who: "person 1", source: "camera", muted: false, figures },
        { who: "person 1", source: "microphone", muted: false, figures: nothing },
      ],
      server: ["server, now: to me 512 kbit/s"],
    });
    expect(report.split("\n")).toEqual([
      "Call at https://call.example, 1970-01-01T00:00:00.000Z",
      "connection: connected, quality good, 2 in the call",
      "me, microphone, muted: nothing",
      "person 1, camera: 640x360, 25 frames/s, 512 kbit/s, 1.3 % lost, 41 ms, VP8, udp",
      "person 1, microphone: nothing",
      "server, now: to me 512 kbit/s",
      "agent: Browser/1",
    ]);
  });
});
