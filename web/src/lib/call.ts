/** Joining a room: token, connection, and the tracks that the person chose to send. */

import {
  ConnectionError,
  ConnectionErrorReason,
  DisconnectReason,
  type LocalTrack,
  LocalVideoTrack,
  Room,
  type RoomOptions,
  ScreenSharePresets,
  Track,
  VideoPresets,
} from "livekit-client";
import { cover, setCamera } from "../effects/background";
import { type Admission, type RoomKind, signalUrl } from "./api";
import { apiProblem, type JoinProblem } from "./joinProblem";
import type { Background, Noise } from "./prefs";

export interface JoinChoices {
  name: string;
  cameraOn: boolean;
  micOn: boolean;
  cameraId: string;
  micId: string;
  speakerId: string;
  noise: Noise;
  background: Background;
}

export const END_REASONS = [
  "kicked",
  "duplicate",
  "room_ended",
  "room_deleted",
  "server_shutdown",
  "unreachable",
  "unknown",
] as const;
export type EndReason = (typeof END_REASONS)[number];

/** No honest data message is longer; a longer stream is cut off instead of filling memory. */
const MAX_STREAM_BYTES = 64 * 1024;

/** For a call in a room of this kind. What a sealed room needs comes only with one. */
export async function createRoom(choices: JoinChoices, kind: RoomKind): Promise<Room> {
  const options = roomOptions(choices);
  return kind === "sealed" ? (await import("../sealed/callMedia")).createSealedRoom(options) : new Room(options);
}

function roomOptions(choices: JoinChoices): RoomOptions {
  const device = (id: string) => (id === "" ? {} : { deviceId: id });
  return {
    adaptiveStream: true,
    dynacast: true,
    videoCaptureDefaults: { resolution: VideoPresets.h720.resolution, ...device(choices.cameraId) },
    audioCaptureDefaults: {
      echoCancellation: true,
      // The strong suppression takes the browser's place when it runs.
      noiseSuppression: choices.noise !== "off",
      autoGainControl: true,
      ...device(choices.micId),
    },
    audioOutput: device(choices.speakerId),
    publishDefaults: {
      simulcast: true,
      videoSimulcastLayers: [VideoPresets.h180, VideoPresets.h360],
      screenShareEncoding: ScreenSharePresets.h1080fps15.encoding,
    },
    dataStream: { maxPayloadByteLength: MAX_STREAM_BYTES },
  };
}

/** Connects `room` with what the door gave. Throws the client library's `ConnectionError`. */
export async function connectRoom(room: Room, admission: Admission): Promise<void> {
  await room.connect(signalUrl(admission.url, window.location), admission.token);
}

export interface PublishEvents {
  /** A device that could not be opened or sent: the call goes on without it. */
  onProblem: (source: Track.Source, error: unknown) => void;
  /** This source is sent, or is not going to be. */
  onSettled: (source: Track.Source) => void;
}

/**
 * Sends the device check's tracks; without them (a rejoin) opens the devices anew. `choices` is asked before and after
 * each: what is switched off meanwhile is not sent.
 */
export async function publishChoices(
  room: Room,
  choices: () => Pick<JoinChoices, "micOn" | "cameraOn" | "background">,
  tracks: readonly LocalTrack[],
  { onProblem, onSettled }: PublishEvents,
): Promise<void> {
  const me = room.localParticipant;
  const ready = new Map(tracks.map((track) => [track.source, track]));
  const send = async (source: Track.Source, wanted: () => boolean, enable: (on: boolean) => Promise<unknown>) => {
    const track = ready.get(source);
    try {
      if (!wanted()) track?.stop();
      else if (track instanceof LocalVideoTrack && !(await cover(track, choices().background))) track.stop();
      else if (track !== undefined) await me.publishTrack(track);
      else await enable(true);
      if (!wanted()) await enable(false);
    } catch (error) {
      track?.stop();
      onProblem(source, error);
    } finally {
      onSettled(source);
    }
  };
  await Promise.all([
    send(Track.Source.Microphone, () => choices().micOn, (on) => me.setMicrophoneEnabled(on)),
    send(Track.Source.Camera, () => choices().cameraOn, (on) => setCamera(me, on, choices().background)),
  ]);
}

export function joinProblem(error: unknown): JoinProblem {
  if (!(error instanceof ConnectionError)) return apiProblem(error);
  switch (error.reason) {
    case ConnectionErrorReason.NotAllowed:
      return "not_allowed";
    case ConnectionErrorReason.Timeout:
    case ConnectionErrorReason.InternalError:
      // Signalling answered, media did not: nearly always a closed UDP/TCP port on the way.
      return "media_blocked";
    case ConnectionErrorReason.ServerUnreachable:
    case ConnectionErrorReason.WebSocket:
    case ConnectionErrorReason.ServiceNotFound:
      return "unreachable";
    default:
      return "unknown";
  }
}

export function endReason(reason: DisconnectReason | undefined): EndReason {
  switch (reason) {
    case DisconnectReason.PARTICIPANT_REMOVED:
      return "kicked";
    case DisconnectReason.DUPLICATE_IDENTITY:
      return "duplicate";
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return "room_ended";
    case DisconnectReason.SERVER_SHUTDOWN:
      return "server_shutdown";
    case undefined:
    case DisconnectReason.SIGNAL_CLOSE:
    case DisconnectReason.CONNECTION_TIMEOUT:
    case DisconnectReason.MEDIA_FAILURE:
    case DisconnectReason.STATE_MISMATCH:
      return "unreachable";
    default:
      return "unknown";
  }
}
