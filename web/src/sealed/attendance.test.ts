import { describe, expect, it } from "vitest";
import { Attendance } from "./attendance";
import type { View } from "./engine";

const ABSENT_MS = 1500;
const NONE = new Uint8Array(0);

const leaf = (index: number, member: string, device: string, signatureKey = `key of ${device}`) => ({ index, member, device, signatureKey });
const viewOf = (...members: ReturnType<typeof leaf>[]): View => ({
  group: "g", epoch: 1, members, own: 0, chatKey: NONE, mediaSecret: NONE, historySecret: NONE, askKey: NONE, code: NONE,
});
const [ada, bob] = [leaf(0, "ada", "laptop"), leaf(1, "bob", "phone")];

function told(...devices: [string, string][]) {
  const attendance = new Attendance("laptop", ABSENT_MS);
  attendance.set([["ada", "laptop"], ...devices].map(([member = "", device = ""]) => ({ member, device, name: member })));
  return attendance;
}

describe("a leaf", () => {
  it("is gone when its device has been away for a while", () => {
    const attendance = told();
    expect(attendance.goneAtMs(viewOf(ada, bob), 1000)).toBe(1000 + ABSENT_MS);
    expect(attendance.isGone(bob, 1000 + ABSENT_MS - 1)).toBe(false);
    expect(attendance.isGone(bob, 1000 + ABSENT_MS)).toBe(true);
    attendance.change([{ member: "bob", device: "phone", name: "" }], []);
    expect(attendance.goneAtMs(viewOf(ada, bob), 3000)).toBeNull();
    expect(attendance.isGone(bob, 3000)).toBe(false);
  });

  it("is gone at once when the server calls it otherwise, also after a lost connection", () => {
    const attendance = told(["mallory", "phone"]);
    attendance.missNobodyUntil(9000);
    expect(attendance.goneAtMs(viewOf(ada, bob), 1000)).toBe(1000);
    expect(attendance.isGone(bob, 1000)).toBe(true);
  });

  it("is gone at once when it is a copy of one that was there before", () => {
    const attendance = told(["bob", "phone"]);
    expect(attendance.goneAtMs(viewOf(ada, bob), 1000)).toBeNull();
    const copy = leaf(2, "bob", "phone", "another key");
    expect(attendance.goneAtMs(viewOf(ada, bob, copy), 2000)).toBe(2000);
    expect([attendance.isGone(copy, 2000), attendance.isGone(bob, 2000)]).toEqual([true, false]);
    // A browser that has lost its key is no copy.
    expect(attendance.goneAtMs(viewOf(ada, copy), 3000)).toBeNull();
  });
});
