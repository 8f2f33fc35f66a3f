import { describe, expect, it } from "vitest";
import { figuresOf } from "./figures";

type Stat = Record<string, unknown>;
const report = (...stats: Stat[]) => new Map(stats.map((stat) => [String(stat.id), stat]));

const codec = { id: "C", type: "codec", mimeType: "video/VP8" };
const transport = { id: "T", type: "transport", selectedCandidatePairId: "P" };
const pair = { id: "P", type: "candidate-pair", localCandidateId: "L", currentRoundTripTime: 0.04 };
const candidate = { id: "L", type: "local-candidate", candidateType: "host", protocol: "udp" };
const way = [codec, transport, pair, candidate];

const inbound = (change: Stat = {}) => ({
  id: "I", type: "inbound-rtp", kind: "video", timestamp: 1000, codecId: "C", frameWidth: 640, frameHeight: 360, framesPerSecond: 25,
  bytesReceived: 10_000, packetsReceived: 100, packetsLost: 4, jitterBufferDelay: 2, jitterBufferEmittedCount: 40, ...change,
});
const later = { timestamp: 3000, bytesReceived: 260_000, packetsReceived: 190, packetsLost: 14, jitterBufferDelay: 5, jitterBufferEmittedCount: 90 };

describe("what is received", () => {
  it("has rates since the sample before", () => {
    const first = figuresOf(report(inbound(), ...way), null);
    const second = figuresOf(report(inbound(later), ...way), first?.sample ?? null);
    expect(second?.figures).toEqual({
      size: { width: 640, height: 360 }, framesPerS: 25, bitsPerS: 1_000_000, lossPercent: 10, delayMs: 80, codec: "VP8", path: "udp", layers: null,
    });
  });

  it("has no rates yet the first time", () => {
    expect(figuresOf(report(inbound(), ...way), null)?.figures).toMatchObject({ bitsPerS: null, lossPercent: null, delayMs: 70 });
  });

  it("never loses less than nothing, when late packets come after all", () => {
    const first = figuresOf(report(inbound(), ...way), null);
    const second = figuresOf(report(inbound({ ...later, packetsLost: 1 }), ...way), first?.sample ?? null);
    expect(second?.figures.lossPercent).toBe(0);
  });

  it("does not go backwards when a new stream begins at nothing", () => {
    const first = figuresOf(report(inbound(later), ...way), null);
    expect(figuresOf(report(inbound({ timestamp: 4000 }), ...way), first?.sample ?? null)?.figures.bitsPerS).toBeNull();
  });
});

describe("the path", () => {
  it.each([
    [{ protocol: "tcp" }, "tcp"],
    [{ protocol: "TCP" }, "tcp"],
    [{ candidateType: "relay" }, "relay"],
    [{}, "udp"],
  ])("%j is %s", (change, path) => {
    expect(figuresOf(report(inbound(), codec, transport, pair, { ...candidate, ...change }), null)?.figures.path).toBe(path);
  });

  it("is found where there are no transport statistics", () => {
    const selected = { ...pair, selected: true };
    expect(figuresOf(report(inbound(), codec, selected, candidate), null)?.figures.path).toBe("udp");
  });

  it("and the delay are unknown without a pair", () => {
    expect(figuresOf(report(inbound()), null)?.figures).toMatchObject({ path: null, delayMs: null, codec: null });
  });
});

describe("what is sent", () => {
  const layer = (id: string, change: Stat) => ({ id, type: "outbound-rtp", kind: "video", timestamp: 1000, codecId: "C", active: true, ...change });
  const layers = [
    layer("q", { frameWidth: 320, frameHeight: 180, bytesSent: 1000 }),
    layer("h", { frameWidth: 640, frameHeight: 360, bytesSent: 3000, framesPerSecond: 30 }),
    layer("f", { active: false, frameWidth: 1280, frameHeight: 720, bytesSent: 9000 }),
  ];

  it("is the largest layer that goes out, with all that the layers weigh", () => {
    const answer = figuresOf(report(...layers, { id: "R", type: "remote-inbound-rtp", fractionLost: 0.25 }, ...way), null);
    expect(answer?.figures).toMatchObject({ size: { width: 640, height: 360 }, framesPerS: 30, layers: 2, lossPercent: 25, delayMs: 20 });
    expect(answer?.sample.bytes).toBe(4000);
  });

  it("is nothing where nothing goes out or comes", () => {
    expect(figuresOf(report(...way), null)).toBeNull();
  });
});
