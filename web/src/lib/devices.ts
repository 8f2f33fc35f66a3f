/** Cameras, microphones and speakers: what the browser offers, and why it may refuse. */

import type { Track } from "livekit-client";

export type DeviceProblem = "denied" | "missing" | "busy" | "insecure" | "unknown";

export interface OwnDeviceProblem {
  source: Track.Source;
  problem: DeviceProblem;
}

/** What went wrong when a camera or microphone was asked for, from the error's name (W3C mediacapture-main §10.4). */
export function deviceProblem(error: unknown): DeviceProblem {
  if (!hasMediaDevices()) return "insecure";
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "PermissionDeniedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "DevicesNotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return "busy";
    default:
      return "unknown";
  }
}

/** Browsers hide `mediaDevices` on pages that are neither https nor localhost. */
export function hasMediaDevices(): boolean {
  return typeof navigator !== "undefined" && "mediaDevices" in navigator;
}

export function canShareScreen(): boolean {
  return hasMediaDevices() && "getDisplayMedia" in navigator.mediaDevices;
}

export function canChooseSpeaker(): boolean {
  return "setSinkId" in HTMLMediaElement.prototype;
}

export interface DeviceLists {
  audioinput: MediaDeviceInfo[];
  videoinput: MediaDeviceInfo[];
  audiooutput: MediaDeviceInfo[];
}

export const NO_DEVICES: DeviceLists = { audioinput: [], videoinput: [], audiooutput: [] };

export function groupDevices(devices: readonly MediaDeviceInfo[]): DeviceLists {
  // Before permission is given, browsers list devices without an id; those cannot be chosen.
  const usable = devices.filter((device) => device.deviceId !== "");
  return {
    audioinput: usable.filter((device) => device.kind === "audioinput"),
    videoinput: usable.filter((device) => device.kind === "videoinput"),
    audiooutput: usable.filter((device) => device.kind === "audiooutput"),
  };
}

/** Whether a camera is the one on a phone's back: it films the world, which is not a mirror image. */
export function facesAway(camera: MediaStreamTrack): boolean {
  return camera.getSettings().facingMode === "environment";
}
