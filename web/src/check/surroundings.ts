import { type LocalTrack, LocalAudioTrack, Room } from "livekit-client";
import { fetchToken, isServerReady, keepToken } from "../lib/api";
import { connectRoom, joinProblem } from "../lib/call";
import { type DeviceProblem, deviceProblem, hasMediaDevices } from "../lib/devices";
import { pathOfReport, toReport } from "../lib/figures";
import { newRoomName } from "../lib/rooms";
import type { Path, Surroundings } from "./check";

const VISITOR = { name: "Check", password: "", invitation: "", note: "", apart: false };
/** Within this time a way for packets is found, or there is none. */
const PATH_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 200;

async function tryDevice(step: "camera" | "mic"): Promise<DeviceProblem | null> {
  if (!hasMediaDevices()) return "insecure";
  try {
    const stream = await navigator.mediaDevices.getUserMedia(step === "camera" ? { video: true } : { audio: true });
    for (const track of stream.getTracks()) track.stop();
    return null;
  } catch (error) {
    return deviceProblem(error);
  }
}

async function tryCall(): Promise<{ path: Path } | { problem: ReturnType<typeof joinProblem> }> {
  const name = newRoomName();
  const room = new Room();
  const context = new AudioContext();
  try {
    const admission = await fetchToken(name, VISITOR);
    await connectRoom(room, admission);
    const [silence] = context.createMediaStreamDestination().stream.getAudioTracks();
    if (silence === undefined) return { problem: "unknown" };
    const track = new LocalAudioTrack(silence, undefined, true);
    await room.localParticipant.publishTrack(track);
    const path = await pathOfTrack(track);
    return path === null ? { problem: "media_blocked" } : { path };
  } catch (error) {
    return { problem: joinProblem(error) };
  } finally {
    keepToken(name, null);
    await room.disconnect();
    await context.close();
  }
}

async function pathOfTrack(track: LocalTrack): Promise<Path | null> {
  for (let waitedMs = 0; waitedMs < PATH_WITHIN_MS; waitedMs += LOOK_EVERY_MS) {
    const report = await track.getRTCStatsReport();
    const path = report === undefined ? null : pathOfReport(toReport(report));
    if (path !== null) return path;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return null;
}

export const HERE: Surroundings = {
  canCall: () => window.isSecureContext && "RTCPeerConnection" in window && "WebSocket" in window,
  isServerReady,
  tryDevice,
  tryCall,
};
