import { describe, expect, it, vi } from "vitest";
import { ApiError } from "../lib/api";
import type { Account } from "./api";
import { accountProblem } from "./problems";
import { PasskeyDeclined } from "./passkeys";
import { AccountSession, wayBack } from "./session";
import { withProof } from "./useAct";

const ADA: Account = { id: "1", name: "Ada", isAdmin: false, hasPassword: true, hasOpenid: false };
const refusal = (code: string) => Promise.reject(new ApiError(code, ""));

describe("AccountSession", () => {
  it("asks once for all who want to know, and tells them", async () => {
    const ask = vi.fn(() => Promise.resolve(ADA));
    const session = new AccountSession(ask);
    const heard = vi.fn();
    session.subscribe(heard);
    expect(session.snapshot()).toBeUndefined();
    expect(await Promise.all([session.load(), session.load()])).toEqual([ADA, ADA]);
    expect([ask.mock.calls.length, heard.mock.calls.length]).toEqual([1, 1]);
    session.set(null);
    expect([await session.load(), session.snapshot(), heard.mock.calls.length]).toEqual([null, null, 2]);
  });

  it.each(["unauthorized", "not_found"])("%s is nobody", async (code) => {
    expect(await new AccountSession(() => refusal(code)).load()).toBeNull();
  });

  it("asks again when there was no answer", async () => {
    const ask = vi.fn<() => Promise<Account>>().mockReturnValueOnce(refusal("unreachable")).mockResolvedValue(ADA);
    const session = new AccountSession(ask);
    await expect(session.load()).rejects.toMatchObject({ code: "unreachable" });
    expect(session.snapshot()).toBeUndefined();
    expect(await session.load()).toEqual(ADA);
  });
});

describe("withProof", () => {
  it("asks for a proof and does it once more", async () => {
    const act = vi.fn<() => Promise<string>>().mockReturnValueOnce(refusal("step_up_needed")).mockResolvedValue("done");
    const prove = vi.fn(() => Promise.resolve());
    expect(await withProof(act, prove)).toBe("done");
    expect([act.mock.calls.length, prove.mock.calls.length]).toEqual([2, 1]);
  });

  it("does not ask when something else is wrong, nor twice", async () => {
    const prove = vi.fn(() => Promise.resolve());
    await expect(withProof(() => refusal("forbidden"), prove)).rejects.toMatchObject({ code: "forbidden" });
    expect(prove).not.toHaveBeenCalled();
    await expect(withProof(() => refusal("step_up_needed"), prove)).rejects.toMatchObject({ code: "step_up_needed" });
    expect(prove).toHaveBeenCalledTimes(1);
  });
});

it.each([
  ["/admin", "/admin"],
  ["/r/den", "/r/den"],
  ["/", "/account"],
  ["", "/account"],
  ["https://evil.example/r/den", "/account"],
  ["//evil.example", "/account"],
])("the way back %s leads to %s", (path, expected) => {
  expect(wayBack(path)).toBe(expected);
});

it("names every refusal", () => {
  expect(accountProblem(new ApiError("last_admin", ""))).toBe("last_admin");
  expect(accountProblem(new ApiError("no_such_code", ""))).toBe("unknown");
  expect(accountProblem(new PasskeyDeclined())).toBe("passkey_declined");
  expect(accountProblem(new TypeError("x"))).toBe("unknown");
});
