/** What this browser holds for a room that lasts: the guest key that makes one the same person again, and an invitation. */

import { readText, writeText } from "./storage";

const KEY = /^[A-Za-z0-9_-]{32,128}$/;
const KEY_BYTES = 32;
const ID_BYTES = 16;

/** Where the browser blocks its storage, a key lasts as long as the page. */
const unstored = new Map<string, string>();
const keyName = (room: string) => `ting.key.${room}`;
const invitationName = (room: string) => `ting.invitation.${room}`;
const recoveryName = (room: string) => `ting.recovery.${room}`;

function random(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** 256 random bits in 43 characters (base64url). */
export function newKey(): string {
  return random(KEY_BYTES);
}

/** What makes an entry the same one when it is sent again. */
export function newClientId(): string {
  return random(ID_BYTES);
}

export function keptKey(room: string): string | null {
  return readText("local", keyName(room)) ?? unstored.get(room) ?? null;
}

export function keepKey(room: string, key: string): void {
  unstored.set(room, key);
  writeText("local", keyName(room), key);
}

export function keptInvitation(room: string): string | null {
  return readText("session", invitationName(room));
}

/** With null it is used, or of no use. */
export function keepInvitation(room: string, secret: string | null): void {
  writeText("session", invitationName(room), secret);
}

/** Whether the recovery link of a room that was made here waits to be seen. */
export function isRecoveryDue(room: string): boolean {
  return readText("local", recoveryName(room)) !== null;
}

export function setRecoveryDue(room: string, due: boolean): void {
  writeText("local", recoveryName(room), due ? "1" : null);
}

export type RoomSecret = { kind: "owner"; key: string } | { kind: "invitation"; secret: string };

/** What the part of a room's link behind `#` gives; servers never see that part. */
export function secretOfHash(hash: string): RoomSecret | null {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const key = parameters.get("owner");
  if (key !== null && KEY.test(key)) return { kind: "owner", key };
  const secret = parameters.get("invitation");
  return secret !== null && KEY.test(secret) ? { kind: "invitation", secret } : null;
}

/** Keeps what the address of the page brought, and takes it out of the address, which people copy. */
export function takeSecret(room: string): void {
  const secret = secretOfHash(window.location.hash);
  if (secret === null) return;
  if (secret.kind === "owner") keepKey(room, secret.key);
  else keepInvitation(room, secret.secret);
  window.history.replaceState(null, "", window.location.pathname + window.location.search);
}

export function recoveryLink(origin: string, path: string, key: string): string {
  return `${origin}${path}#owner=${key}`;
}

export function invitationLink(origin: string, path: string, secret: string): string {
  return `${origin}${path}#invitation=${secret}`;
}
