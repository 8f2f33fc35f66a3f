import { ConnectionError, DisconnectReason } from "livekit-client";
import { describe, expect, it } from "vitest";
import { ApiError } from "./api";
import { endReason, joinProblem } from "./call";

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
