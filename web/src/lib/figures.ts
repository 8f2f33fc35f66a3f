/** How one track comes or goes, as the browser measures it (W3C webrtc-stats). */

export interface Figures {
  /** Of the picture as it comes, or of the largest layer that is sent; null for sound. */
  size: { width: number; height: number } | null;
  framesPerS: number | null;
  bitsPerS: number | null;
  lossPercent: number | null;
  /** From the server to the screen, or to the server; an estimate from round trips and the jitter buffer. */
  delayMs: number | null;
  codec: string | null;
  path: "udp" | "tcp" | "relay" | null;
  /** How many layers are sent; null for what is received. */
  layers: number | null;
}

/** Counters at one moment, for the rates since. */
export interface Sample {
  atMs: number;
  bytes: number;
  packets: number;
  lost: number;
  bufferS: number;
  played: number;
}

type Stat = Readonly<Record<string, unknown>>;
export type Report = ReadonlyMap<string, Stat>;

const number = (stat: Stat | undefined, key: string): number | null => {
  const value = stat?.[key];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
};
const text = (stat: Stat | undefined, key: string): string => {
  const value = stat?.[key];
  return typeof value === "string" ? value : "";
};

/** What a report of a track's sender or receiver says; rates are those since `before`. */
export function figuresOf(report: Report, before: Sample | null): { figures: Figures; sample: Sample } | null {
  const streams = [...report.values()].filter(({ type }) => type === "inbound-rtp" || type === "outbound-rtp");
  const sent = streams.filter((stat) => stat.type === "outbound-rtp" && stat.active !== false && (number(stat, "bytesSent") ?? 0) > 0);
  const main = streams.find(({ type }) => type === "inbound-rtp") ?? largest(sent);
  if (main === undefined) return null;
  const incoming = main.type === "inbound-rtp";
  const sample = incoming ? received(main) : sentBy(sent);
  const pair = selectedPair(report);
  const width = number(main, "frameWidth");
  const height = number(main, "frameHeight");
  const roundTripS = number(pair, "currentRoundTripTime");
  return {
    sample,
    figures: {
      size: width !== null && height !== null ? { width, height } : null,
      framesPerS: number(main, "framesPerSecond"),
      bitsPerS: bitRate(sample, before),
      lossPercent: incoming ? lossSince(sample, before) : lossAtServer(report),
      delayMs: roundTripS === null ? null : (roundTripS / 2) * 1000 + (incoming ? bufferedMs(sample, before) : 0),
      codec: text(report.get(text(main, "codecId")), "mimeType").split("/")[1] ?? null,
      path: pathOf(report, pair),
      layers: incoming || text(main, "kind") !== "video" ? null : sent.length,
    },
  };
}

function largest(stats: readonly Stat[]): Stat | undefined {
  return stats.reduce<Stat | undefined>(
    (best, stat) => (best === undefined || (number(stat, "frameWidth") ?? 0) > (number(best, "frameWidth") ?? 0) ? stat : best),
    undefined,
  );
}

function received(stat: Stat): Sample {
  return {
    atMs: number(stat, "timestamp") ?? 0,
    bytes: number(stat, "bytesReceived") ?? 0,
    packets: number(stat, "packetsReceived") ?? 0,
    lost: number(stat, "packetsLost") ?? 0,
    bufferS: number(stat, "jitterBufferDelay") ?? 0,
    played: number(stat, "jitterBufferEmittedCount") ?? 0,
  };
}

function sentBy(stats: readonly Stat[]): Sample {
  const sum = (key: string) => stats.reduce((total, stat) => total + (number(stat, key) ?? 0), 0);
  return { atMs: number(stats[0], "timestamp") ?? 0, bytes: sum("bytesSent"), packets: sum("packetsSent"), lost: 0, bufferS: 0, played: 0 };
}

function bitRate(now: Sample, before: Sample | null): number | null {
  if (before === null || now.atMs <= before.atMs || now.bytes < before.bytes) return null;
  return ((now.bytes - before.bytes) * 8 * 1000) / (now.atMs - before.atMs);
}

/** A packet that comes late after all counts as lost before and not after: never below nothing. */
function lossSince(now: Sample, before: Sample | null): number | null {
  if (before === null) return null;
  const lost = Math.max(0, now.lost - before.lost);
  const all = lost + Math.max(0, now.packets - before.packets);
  return all === 0 ? null : (lost / all) * 100;
}

function lossAtServer(report: Report): number | null {
  const shares = [...report.values()].filter(({ type }) => type === "remote-inbound-rtp").map((stat) => number(stat, "fractionLost"));
  const known = shares.filter((share) => share !== null);
  return known.length === 0 ? null : Math.max(...known) * 100;
}

function bufferedMs(now: Sample, before: Sample | null): number {
  const played = now.played - (before?.played ?? 0);
  return played <= 0 ? 0 : ((now.bufferS - (before?.bufferS ?? 0)) / played) * 1000;
}

// Firefox has no transport statistics; there the pair itself says that it is the selected one.
function selectedPair(report: Report): Stat | undefined {
  const stats = [...report.values()];
  const chosen = stats.map((stat) => text(stat, "selectedCandidatePairId")).find((id) => id !== "");
  if (chosen !== undefined) return report.get(chosen);
  return stats.find((stat) => stat.type === "candidate-pair" && (stat.selected === true || (stat.nominated === true && stat.state === "succeeded")));
}

/** How packets go to the server; null while there is no way yet. */
export function pathOfReport(report: Report): Figures["path"] {
  return pathOf(report, selectedPair(report));
}

function pathOf(report: Report, pair: Stat | undefined): Figures["path"] {
  const own = report.get(text(pair, "localCandidateId"));
  if (own === undefined) return null;
  if (own.candidateType === "relay") return "relay";
  return text(own, "protocol").toLowerCase() === "tcp" ? "tcp" : "udp";
}

/** A browser's report as plain data. */
export function toReport(report: RTCStatsReport): Report {
  return new Map(report.entries() as Iterable<[string, Stat]>);
}
