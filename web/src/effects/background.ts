/** What is behind a person in the camera's picture. */

import { type LocalParticipant, type LocalTrackPublication, type LocalVideoTrack, Track, TrackEvent } from "livekit-client";
import type { Background } from "../lib/prefs";
import type { Segmenting } from "./segmenting";
import { Turns } from "./turns";

/** Why it is not as wanted: it did not load, or this browser did not get through with the pictures. */
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

/** Puts behind a person what `wanted` says when its turn comes; null for "as it is". */
export function putBehind(track: LocalVideoTrack, wanted: () => Background | null): Promise<void> {
  return turns.take(track, async () => {
    const background = wanted();
    if (background === null || track.isStopped) return;
    const before = track.getProcessor() as Segmenting | undefined;
    if (background === "none") {
      // What was too slow stays said: it is why there is nothing now.
      if (backgroundProblem(track) === "failed") problems.delete(track);
      if (before !== undefined) await track.stopProcessor();
      else track.emit(TrackEvent.TrackProcessorUpdate);
      return;
    }
    try {
      if (before !== undefined) await before.show(background);
      else await track.setProcessor(await make(background, () => track));
      problems.delete(track);
    } catch {
      await giveUp(track, "failed");
    }
  });
}

/** Switches the camera on or off; nobody sees even its first picture with what should not be seen. */
export async function setCamera(
  me: LocalParticipant,
  on: boolean,
  background: Background,
): Promise<LocalTrackPublication | undefined> {
  const fresh = on && me.getTrackPublication(Track.Source.Camera) === undefined;
  if (!fresh || background === "none" || !canChangeBackground()) return me.setCameraEnabled(on);
  const own = () => me.getTrackPublication(Track.Source.Camera)?.videoTrack;
  try {
    return await me.setCameraEnabled(true, { processor: await make(background, own) });
  } catch {
    // Without it. A camera that does not open fails again, and tells why; whoever keeps the background tells the rest.
    return me.setCameraEnabled(true);
  }
}

async function make(background: Background, track: () => LocalVideoTrack | undefined): Promise<Segmenting> {
  const { Segmenting } = await import("./segmenting");
  return Segmenting.make(background, () => {
    const on = track();
    if (on !== undefined) void turns.take(on, () => giveUp(on, "slow"));
  });
}

async function giveUp(track: LocalVideoTrack, problem: BackgroundProblem): Promise<void> {
  problems.set(track, problem);
  if (track.getProcessor() !== undefined) await track.stopProcessor();
  else track.emit(TrackEvent.TrackProcessorUpdate);
}
