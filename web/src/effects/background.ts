/**
 * What is behind a person in the camera's picture. Whoever chose a background is never shown without it, unless they say
 * so: where it does not load, the camera stays off; where the browser is slow with it, it stays on, and they are asked.
 */

import { type LocalParticipant, LocalVideoTrack, Track, TrackEvent } from "livekit-client";
import type { Background } from "../lib/prefs";
import type { Segmenting } from "./segmenting";
import { Turns } from "./turns";

/** Why it is not as wanted: it did not load, or this browser does not get through with the pictures. */
export type BackgroundProblem = "failed" | "slow";

const turns = new Turns<LocalVideoTrack>();
const problems = new WeakMap<LocalVideoTrack, BackgroundProblem>();

/** As far as one can tell without the library. */
export function canChangeBackground(): boolean {
  return "OffscreenCanvas" in window && "VideoFrame" in window && "captureStream" in HTMLCanvasElement.prototype;
}

/** A `TrackProcessorUpdate` tells of a change. */
export function backgroundProblem(track: LocalVideoTrack): BackgroundProblem | null {
  return problems.get(track) ?? null;
}

let withheld = false;
const listeners = new Set<() => void>();

/** Whether one's camera is off because what should be behind oneself did not load: a page has one own camera. */
export const isWithheld = (): boolean => withheld;

export function onWithheld(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Off by one's own will, from now on. */
export function forgetWithheld(): void {
  withhold(false);
}

function withhold(now: boolean): void {
  if (withheld === now) return;
  withheld = now;
  for (const listener of listeners) listener();
}

/**
 * Puts behind a person what `wanted` says when its turn comes; null for "as it is". Where it fails, whoever has the track
 * takes it from the others' sight.
 */
export function putBehind(track: LocalVideoTrack, wanted: () => Background | null): Promise<void> {
  return turns.take(track, async () => {
    const background = wanted();
    if (background === null || track.isStopped) return;
    withhold(false);
    const before = track.getProcessor() as Segmenting | undefined;
    if (background === "none") {
      problems.delete(track);
      if (before !== undefined) await track.stopProcessor();
      else track.emit(TrackEvent.TrackProcessorUpdate);
      return;
    }
    try {
      if (before !== undefined) await before.show(background);
      else await track.setProcessor(await make(background, () => track));
      problems.delete(track);
    } catch {
      withhold(true);
      tell(track, "failed");
    }
  });
}

/** Before others see the first picture of `track`: whether they may. */
export async function cover(track: LocalVideoTrack, background: Background): Promise<boolean> {
  if (background === "none" || !canChangeBackground()) return true;
  await putBehind(track, () => background);
  return !withheld && track.getProcessor() !== undefined;
}

/**
 * Switches the camera on or off; nobody sees even its first picture with what should not be seen: rather it stays off, and
 * `isWithheld`. Rejects with what the browser says of a camera that does not open.
 */
export async function setCamera(me: LocalParticipant, on: boolean, background: Background): Promise<void> {
  withhold(false);
  if (!on) {
    await me.setCameraEnabled(false);
    return;
  }
  const sent = me.getTrackPublication(Track.Source.Camera)?.videoTrack;
  if (background === "none" || !canChangeBackground()) {
    await me.setCameraEnabled(true);
    // What was put behind it before it was switched off.
    if (sent !== undefined) await putBehind(sent, () => background);
    return;
  }
  if (sent?.getProcessor() !== undefined) {
    await me.setCameraEnabled(true);
    await putBehind(sent, () => background);
    return;
  }
  // A background that was chosen while the camera was off is there before the camera is.
  if (sent !== undefined) await me.unpublishTrack(sent);
  await publishCovered(me, background);
}

async function publishCovered(me: LocalParticipant, background: Background): Promise<void> {
  const made: { camera?: LocalVideoTrack; processor?: Segmenting } = {};
  try {
    // All that is fetched comes first: the camera is not on while one waits for it.
    made.processor = await make(background, () => made.camera);
  } catch {
    withhold(true);
    return;
  }
  const camera = (await me.createTracks({ video: true })).find((track) => track instanceof LocalVideoTrack);
  if (camera === undefined) return;
  made.camera = camera;
  try {
    await camera.setProcessor(made.processor);
  } catch {
    camera.stop();
    withhold(true);
    return;
  }
  try {
    await me.publishTrack(camera);
  } catch (error) {
    camera.stop();
    throw error;
  }
}

/** It is known that this browser is slow with it, and wanted all the same. */
export function keepSlow(track: LocalVideoTrack): void {
  problems.delete(track);
  track.emit(TrackEvent.TrackProcessorUpdate);
}

async function make(background: Background, track: () => LocalVideoTrack | undefined): Promise<Segmenting> {
  const { Segmenting } = await import("./segmenting");
  return Segmenting.make(background, () => {
    const on = track();
    if (on !== undefined) tell(on, "slow");
  });
}

function tell(track: LocalVideoTrack, problem: BackgroundProblem): void {
  problems.set(track, problem);
  track.emit(TrackEvent.TrackProcessorUpdate);
}
