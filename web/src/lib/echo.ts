/** Hearing oneself as others do, before a call. */

import { decibels } from "./level";

const RECORD_MS = 4000;
const LOOK_MS = 50;
/** Speech at a usual distance is well above the one, and what is below the other is a room without anybody. */
const GOOD_DB = -38;
const NOTHING_DB = -58;

export interface Echo {
  sound: Blob;
  loudestDb: number;
}

export type EchoVerdict = "good" | "quiet" | "nothing";

export function verdictOf(loudestDb: number): EchoVerdict {
  if (loudestDb > GOOD_DB) return "good";
  return loudestDb > NOTHING_DB ? "quiet" : "nothing";
}

export function canRecord(): boolean {
  return "MediaRecorder" in window;
}

/** Four seconds of a microphone, or less when `signal` says so. Rejects where the browser does not record it. */
export async function record(track: MediaStreamTrack, signal: AbortSignal): Promise<Echo> {
  const stream = new MediaStream([track]);
  const recorder = new MediaRecorder(stream);
  const pieces: Blob[] = [];
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let loudestDb = -Infinity;
  const timer = window.setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    loudestDb = Math.max(loudestDb, decibels(samples));
  }, LOOK_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      recorder.onstop = () => {
        resolve();
      };
      recorder.onerror = () => {
        reject(new Error("not recorded"));
      };
      const stop = () => {
        if (recorder.state !== "inactive") recorder.stop();
      };
      recorder.start();
      window.setTimeout(stop, RECORD_MS);
      signal.addEventListener("abort", stop, { once: true });
    });
  } finally {
    window.clearInterval(timer);
    void context.close();
  }
  return { sound: new Blob(pieces, { type: recorder.mimeType }), loudestDb };
}

/** Resolves when it has sounded on the chosen speaker, or when `signal` says so. */
export async function play(sound: Blob, speakerId: string, signal: AbortSignal): Promise<void> {
  const address = URL.createObjectURL(sound);
  const audio = new Audio(address);
  try {
    if (speakerId !== "" && "setSinkId" in audio) await audio.setSinkId(speakerId);
    const ended = new Promise<void>((resolve, reject) => {
      audio.onended = () => {
        resolve();
      };
      audio.onerror = () => {
        reject(new Error("not played"));
      };
      signal.addEventListener("abort", () => {
        resolve();
      });
    });
    await Promise.all([audio.play(), ended]);
  } finally {
    audio.pause();
    URL.revokeObjectURL(address);
  }
}
