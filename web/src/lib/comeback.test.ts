import { describe, expect, it } from "vitest";
import { comesBack, isAwayReason, pauseMs } from "./comeback";
import { END_REASONS } from "./call";
import { JOIN_PROBLEMS } from "./joinProblem";

describe("pauseMs", () => {
  it("grows to a limit", () => {
    const longest = [0, 1, 2, 3, 4, 5, 50].map((attempt) => pauseMs(attempt, () => 1));
    expect(longest).toEqual([1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
  });

  it("is spread over half of its length", () => {
    expect([0, 0.5, 1].map((chance) => pauseMs(1, () => chance))).toEqual([1000, 1500, 2000]);
  });
});

it("only a server that went away is waited for", () => {
  expect(END_REASONS.filter(isAwayReason)).toEqual(["server_shutdown", "unreachable"]);
});

it("a refusal that no waiting changes ends the tries", () => {
  expect(JOIN_PROBLEMS.filter((problem) => !comesBack(problem))).toEqual([
    "invalid_room_name",
    "invalid_name",
    "guests_disabled",
    "room_full",
    "room_locked",
    "room_not_found",
    "members_only",
    "password_needed",
    "wrong_password",
    "invitation_over",
    "denied",
    "kicked",
    "banned",
    "limit_reached",
    "not_allowed",
    "sealed_link",
    "sealed_browser",
    "sealed_room",
  ]);
});
