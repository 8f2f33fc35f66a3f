/**
 * Passkeys in the browser (Web Authentication Level 3). What the server sends and takes is JSON (5.1.8 to 5.1.10);
 * browsers that cannot read or write it themselves are helped here.
 */

import { asRecord, text } from "../lib/api";

/** The person said no, or there is no passkey that fits: browsers do not tell which. */
export class PasskeyDeclined extends Error {}

type Json = Record<string, unknown>;

export function toBytes(base64url: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

export function toBase64url(buffer: ArrayBuffer): string {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function descriptors(value: unknown): PublicKeyCredentialDescriptor[] {
  const raw = Array.isArray(value) ? value.map(asRecord) : [];
  return raw.map((one) => ({ ...one, type: "public-key", id: toBytes(text(one.id)) }));
}

export function readRequest(options: Json): PublicKeyCredentialRequestOptions {
  return {
    ...options,
    challenge: toBytes(text(options.challenge)),
    allowCredentials: descriptors(options.allowCredentials),
  };
}

export function readCreation(options: Json): PublicKeyCredentialCreationOptions {
  const user = asRecord(options.user);
  return {
    ...(options as unknown as PublicKeyCredentialCreationOptions),
    challenge: toBytes(text(options.challenge)),
    user: { id: toBytes(text(user.id)), name: text(user.name), displayName: text(user.displayName) },
    excludeCredentials: descriptors(options.excludeCredentials),
  };
}

/** Every buffer of the answer as base64url, as `PublicKeyCredential.toJSON` writes it. */
export function writeCredential(credential: PublicKeyCredential): Json {
  const { response } = credential;
  const fields = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"] as const;
  const written: Json = {};
  for (const field of fields) {
    const value = (response as unknown as Json)[field];
    if (value instanceof ArrayBuffer) written[field] = toBase64url(value);
  }
  return {
    id: credential.id,
    rawId: toBase64url(credential.rawId),
    type: credential.type,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: written,
  };
}

// The types say that these are always there; in older browsers they are not.
interface Helpers {
  parseCreationOptionsFromJSON?: (options: Json) => PublicKeyCredentialCreationOptions;
  parseRequestOptionsFromJSON?: (options: Json) => PublicKeyCredentialRequestOptions;
}

const helpers = (): Helpers => window.PublicKeyCredential as unknown as Helpers;

/** Whether this browser has passkeys at all: on secure pages only. */
export function hasPasskeys(): boolean {
  return "PublicKeyCredential" in window && "credentials" in navigator;
}

/** Makes a passkey. Throws `PasskeyDeclined`. */
export function createPasskey(options: Json): Promise<Json> {
  const publicKey = helpers().parseCreationOptionsFromJSON?.(options) ?? readCreation(options);
  return answerOf(() => navigator.credentials.create({ publicKey }));
}

/** Asks for a passkey. Throws `PasskeyDeclined`. */
export function askPasskey(options: Json): Promise<Json> {
  const publicKey = helpers().parseRequestOptionsFromJSON?.(options) ?? readRequest(options);
  return answerOf(() => navigator.credentials.get({ publicKey }));
}

async function answerOf(ask: () => Promise<Credential | null>): Promise<Json> {
  let credential: Credential | null;
  try {
    credential = await ask();
  } catch {
    throw new PasskeyDeclined();
  }
  if (credential === null) throw new PasskeyDeclined();
  const made = credential as PublicKeyCredential;
  return "toJSON" in made ? asRecord(made.toJSON()) : writeCredential(made);
}
