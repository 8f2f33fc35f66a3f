/** How a call goes on this device, as one sends it to whoever runs the server: plain English, and nobody's name. */

import type { Participant, Room, TrackPublication } from "livekit-client";
import { type Figures, figuresOf, toReport } from "../lib/figures";
import type { CallTimeline } from "../log/timelines";
import { serverLines } from "./serverView";

/** Rates are those of so long. */
const MEASURE_MS = 2000;

export interface TrackLine {
  /** "me", or a number among the others. */
  who: string;
  source: string;
  muted: boolean;
  /** Null: nothing comes, or is sent. */
  figures: Figures | null;
}

export interface CallFacts {
  origin: string;
  at: Date;
  browser: string;
  connection: string;
  quality: string;
  people: number;
  tracks: readonly TrackLine[];
  /** What the server says. */
  server: readonly string[];
}

export function callReportOf({ origin, at, browser, connection, quality, people, tracks, server }: CallFacts): string {
  return [
    `Call at ${origin}, ${at.toISOString()}`,
    `connection: ${connection}, quality ${quality}, ${people} in the call`,
    ...tracks.map(lineOf),
    ...server,
    `agent: ${browser}`,
  ].join("\n");
}

function lineOf({ who, source, muted, figures }: TrackLine): string {
  return `${who}, ${source}${muted ? ", muted" : ""}: ${figures === null ? "nothing" : partsOf(figures)}`;
}

function partsOf({ size, framesPerS, layers, bitsPerS, lossPercent, delayMs, codec, path }: Figures): string {
  const known = [
    size && `${size.width}x${size.height}`,
    framesPerS === null ? null : `${Math.round(framesPerS)} frames/s`,
    layers === null ? null : `${layers} layers`,
    bitsPerS === null ? null : `${Math.round(bitsPerS / 1000)} kbit/s`,
    lossPercent === null ? null : `${lossPercent.toFixed(1)} % lost`,
    delayMs === null ? null : `${Math.round(delayMs)} ms`,
    codec,
    path,
  ];
  const parts = known.filter((part) => part !== null);
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

/** What this device sends and gets, measured now, and what the server saw of its line. */
export async function measureCall(room: Room, timelines: readonly CallTimeline[]): Promise<string> {
  const others = [...room.remoteParticipants.values()];
  const people: [string, Participant][] = [["me", room.localParticipant], ...others.map((one, at): [string, Participant] => [`person ${at + 1}`, one])];
  const tracks = await Promise.all(
    people.flatMap(([who, participant]) => [...participant.trackPublications.values()].map((publication) => measure(who, publication))),
  );
  const whoIs = new Map(people.map(([who, participant]) => [participant.identity, who]));
  return callReportOf({
    server: serverLines(timelines, (identity) => whoIs.get(identity) ?? "somebody who left"),
    origin: window.location.origin,
    at: new Date(),
    browser: navigator.userAgent,
    connection: room.state,
    quality: room.localParticipant.connectionQuality,
    people: people.length,
    tracks,
  });
}

async function measure(who: string, publication: TrackPublication): Promise<TrackLine> {
  const read = async () => {
    const report = await publication.track?.getRTCStatsReport().catch(() => undefined);
    return report && toReport(report);
  };
  const first = await read();
  await new Promise((resolve) => setTimeout(resolve, MEASURE_MS));
  const second = await read();
  const before = first === undefined ? null : (figuresOf(first, null)?.sample ?? null);
  const figures = second === undefined ? null : (figuresOf(second, before)?.figures ?? null);
  return { who, source: publication.source, muted: publication.isMuted, figures };
}
