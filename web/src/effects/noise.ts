/** Noise around a microphone: left in, taken away by the browser, or by RNNoise. */

import { type LocalAudioTrack, TrackEvent } from "livekit-client";
import type { Noise } from "../lib/prefs";
import { rawTrack, stopCopies } from "./rawTrack";
import { Turns } from "./turns";

const turns = new Turns<LocalAudioTrack>();
const failed = new WeakSet<LocalAudioTrack>();

/** Whether the strong suppression was wanted and does not work; a `TrackProcessorUpdate` tells of a change. */
export const strongFailed = (track: LocalAudioTrack): boolean => failed.has(track);

/**
 * Makes a microphone suppress noise as `wanted` says when its turn comes; null for "as it is". Where the strong
 * suppression does not start, or stops later, the browser's takes its place.
 */
export function suppressNoise(track: LocalAudioTrack, wanted: () => Noise | null): Promise<void> {
  return turns.take(track, () => change(track, wanted));
}

async function change(track: LocalAudioTrack, wanted: () => Noise | null): Promise<void> {
  const noise = wanted();
  if (noise === null || track.isStopped) return;
  failed.delete(track);
  const strong = track.getProcessor() !== undefined;
  if (noise !== "strong") {
    if (strong) await track.stopProcessor();
    else track.emit(TrackEvent.TrackProcessorUpdate);
    await setBrowsers(track, noise === "browser");
    return;
  }
  if (strong) return;
  try {
    await startStrong(track, wanted);
  } catch {
    await giveUp(track);
  }
}

async function startStrong(track: LocalAudioTrack, wanted: () => Noise | null): Promise<void> {
  const { RnnoiseProcessor, runningContext } = await import("./rnnoise");
  const context = await runningContext();
  if (wanted() !== "strong" || track.isStopped) {
    await context.close();
    return;
  }
  // The client library asks for one; inside a call it gives its own.
  await track.setAudioContext(context);
  await track.setProcessor(new RnnoiseProcessor(context, () => void turns.take(track, () => giveUp(track))));
  // Two of them, one after the other, swallow words.
  await setBrowsers(track, false);
}

async function giveUp(track: LocalAudioTrack): Promise<void> {
  failed.add(track);
  if (track.getProcessor() === undefined) track.emit(TrackEvent.TrackProcessorUpdate);
  else await track.stopProcessor();
  await setBrowsers(track, true);
}

async function setBrowsers(track: LocalAudioTrack, on: boolean): Promise<void> {
  const is = () => rawTrack(track).getSettings().noiseSuppression;
  if (is() === undefined || is() === on) return;
  const wanted = { echoCancellation: true, autoGainControl: true, noiseSuppression: on, voiceIsolation: on };
  await track.applyConstraints(wanted);
  // Chromium takes the wish and changes nothing: there the microphone is opened anew.
  if (is() === on) return;
  stopCopies(rawTrack(track));
  await track.restartTrack({ deviceId: track.constraints.deviceId, ...wanted });
}
