import { describe, expect, it } from "vitest";
import { readCreation, readRequest, toBase64url, toBytes, writeCredential } from "./passkeys";

const bytes = (...values: number[]) => new Uint8Array(values);

describe("base64url", () => {
  it.each([
    [bytes(), ""],
    [bytes(0xfb, 0xff), "-_8"],
    [bytes(1, 2, 3), "AQID"],
  ])("%j is %s", (raw, written) => {
    expect(toBase64url(raw.buffer)).toBe(written);
    expect(toBytes(written)).toEqual(raw);
  });
});

it("reads what a passkey is asked with", () => {
  const options = readRequest({
    challenge: "-_8",
    rpId: "ting.example",
    userVerification: "required",
    allowCredentials: [{ type: "public-key", id: "AQID", transports: ["usb"] }],
  });
  expect(options).toEqual({
    challenge: bytes(0xfb, 0xff),
    rpId: "ting.example",
    userVerification: "required",
    allowCredentials: [{ type: "public-key", id: bytes(1, 2, 3), transports: ["usb"] }],
  });
  expect(readRequest({ challenge: "AQID" }).allowCredentials).toEqual([]);
});

it("reads what a passkey is made with", () => {
  const options = readCreation({
    challenge: "AQID",
    rp: { id: "ting.example", name: "Ting" },
    user: { id: "-_8", name: "Ada", displayName: "Ada" },
    pubKeyCredParams: [{ type: "public-key", alg: -7 }],
    excludeCredentials: [{ type: "public-key", id: "AQID" }],
  });
  expect([options.user.id, options.rp.id, options.excludeCredentials?.[0]?.id]).toEqual([
    bytes(0xfb, 0xff),
    "ting.example",
    bytes(1, 2, 3),
  ]);
  expect(options.pubKeyCredParams).toEqual([{ type: "public-key", alg: -7 }]);
});

it("writes a passkey's answer, and nothing that it does not have", () => {
  const credential = {
    id: "AQID",
    rawId: bytes(1, 2, 3).buffer,
    type: "public-key",
    response: { clientDataJSON: bytes(1).buffer, signature: bytes(0xfb, 0xff).buffer, userHandle: null },
    getClientExtensionResults: () => ({ credProps: { rk: true } }),
  } as unknown as PublicKeyCredential;
  expect(writeCredential(credential)).toEqual({
    id: "AQID",
    rawId: "AQID",
    type: "public-key",
    clientExtensionResults: { credProps: { rk: true } },
    response: { clientDataJSON: "AQ", signature: "-_8" },
  });
});
