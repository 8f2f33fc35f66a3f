import { ConnectionError, DisconnectReason, type LocalTrack, type Room, Track } from "livekit-client";
import { describe, expect, it } from "vitest";
import { ApiError } from "./api";
import { endReason, joinProblem, publishChoices } from "./call";

describe("joinProblem", () => {
  it.each([
    [new ApiError("room_full", ""), "room_full"],
    [new ApiError("guests_disabled", ""), "guests_disabled"],
    [new ApiError("something_new", ""), "unknown"],
    [ConnectionError.notAllowed("", 401), "not_allowed"],
    [ConnectionError.serverUnreachable(""), "unreachable"],
    [ConnectionError.websocket(""), "unreachable"],
    [ConnectionError.timeout(""), "media_blocked"],
    [new Error("x"), "unknown"],
    ["x", "unknown"],
  ])("%o is %s", (error, problem) => {
    expect(joinProblem(error)).toBe(problem);
  });
});

describe("endReason", () => {
  it.each([
    [DisconnectReason.PARTICIPANT_REMOVED, "kicked"],
    [DisconnectReason.DUPLICATE_IDENTITY, "duplicate"],
    [DisconnectReason.ROOM_DELETED, "room_ended"],
    [DisconnectReason.ROOM_CLOSED, "room_ended"],
    [DisconnectReason.SERVER_SHUTDOWN, "server_shutdown"],
    [DisconnectReason.SIGNAL_CLOSE, "unreachable"],
    [undefined, "unreachable"],
    [DisconnectReason.UNKNOWN_REASON, "unknown"],
  ])("reason %s is %s", (reason, expected) => {
    expect(endReason(reason)).toBe(expected);
  });
});

describe("publishChoices", () => {
  function fakeRoom() {
    const calls: string[] = [];
    const me = {
      setMicrophoneEnabled: (on: boolean) => Promise.resolve(calls.push(`mic ${on ? "on" : "off"}`)),
      setCameraEnabled: (on: boolean) => Promise.resolve(calls.push(`camera ${on ? "on" : "off"}`)),
      publishTrack: (track: LocalTrack) => Promise.resolve(calls.push(`publish ${track.source}`)),
    };
    return { calls, room: { localParticipant: me } as unknown as Room };
  }
  const trackOf = (source: Track.Source) => {
    const track = { source, stopped: false, stop: () => (track.stopped = true) };
    return track as unknown as LocalTrack & { stopped: boolean };
  };
  const quiet = { onProblem: () => undefined, onSettled: () => undefined };

  it("opens what is switched on and nothing else", async () => {
    const { room, calls } = fakeRoom();
    await publishChoices(room, () => ({ micOn: true, cameraOn: false, background: "none" }), [], quiet);
    expect(calls).toEqual(["mic on", "camera off"]);
  });

  it("stops a track of the device check that is not wanted any more", async () => {
    const { room, calls } = fakeRoom();
    const [mic, camera] = [trackOf(Track.Source.Microphone), trackOf(Track.Source.Camera)];
    await publishChoices(room, () => ({ micOn: false, cameraOn: true, background: "none" }), [mic, camera], quiet);
    expect(calls).toEqual(["mic off", "publish camera"]);
    expect([mic.stopped, camera.stopped]).toEqual([true, false]);
  });

  it("mutes what was switched off while it was being sent", async () => {
    const { room, calls } = fakeRoom();
    const choices = { micOn: true, cameraOn: false, background: "none" as const };
    const settled: Track.Source[] = [];
    const done = publishChoices(room, () => choices, [trackOf(Track.Source.Microphone)], {
      ...quiet,
      onSettled: (source) => settled.push(source),
    });
    choices.micOn = false;
    await done;
    expect(calls).toEqual(["publish microphone", "camera off", "mic off"]);
    expect(settled.sort()).toEqual(["camera", "microphone"]);
  });
});
