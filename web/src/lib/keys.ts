/**
 * What this browser holds for a room that lasts: the guest key that makes one the same person again, an invitation, and
 * the secret of a sealed room's link.
 */

import { roomPath } from "./rooms";
import { readText, writeText } from "./storage";

const KEY = /^[A-Za-z0-9_-]{32,128}$/;
const KEY_BYTES = 32;
const ID_BYTES = 16;

/** Where the browser blocks its storage, a key lasts as long as the page. */
const unstored = new Map<string, string>();
const keyName = (room: string) => `ting.key.${room}`;
const invitationName = (room: string) => `ting.invitation.${room}`;
const linkName = (room: string) => `ting.link.${room}`;
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

/** 256 random bits that go into a sealed room's link. */
export const newLinkSecret = newKey;

/** Null: the room is not sealed, or this browser has never seen its whole link. */
export function keptLinkSecret(room: string): string | null {
  return readText("local", linkName(room)) ?? unstored.get(linkName(room)) ?? null;
}

export function keepLinkSecret(room: string, secret: string): void {
  unstored.set(linkName(room), secret);
  writeText("local", linkName(room), secret);
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

export interface RoomSecrets {
  /** Of a sealed room: what everybody in it needs. */
  link: string | null;
  owner: string | null;
  invitation: string | null;
}

/** What the part of a room's link behind `#` gives; servers never see that part. */
export function secretsOfHash(hash: string): RoomSecrets {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const read = (name: string) => {
    const secret = parameters.get(name);
    return secret !== null && KEY.test(secret) ? secret : null;
  };
  return { link: read("s"), owner: read("owner"), invitation: read("invitation") };
}

/**
 * Keeps what the address of the page brought. What is for this person alone is taken out of the address, which people
 * copy; what a sealed room's guests need stays in it.
 */
export function takeSecret(room: string): void {
  keepSecrets(room, window.location.hash);
  const { pathname, search, hash } = window.location;
  const wanted = linkHash(room);
  if (hash !== wanted) window.history.replaceState(null, "", pathname + search + wanted);
}

/** Of a link to the room. */
export function keepSecrets(room: string, hash: string): void {
  const { link, owner, invitation } = secretsOfHash(hash);
  if (link !== null) keepLinkSecret(room, link);
  if (owner !== null) keepKey(room, owner);
  else if (invitation !== null) keepInvitation(room, invitation);
}

function linkHash(room: string, more: Record<string, string> = {}): string {
  const link = keptLinkSecret(room);
  const parameters = new URLSearchParams({ ...(link === null ? {} : { s: link }), ...more }).toString();
  return parameters === "" ? "" : `#${parameters}`;
}

/** What one gives to others: with the secret where the room is sealed. */
export function roomLink(origin: string, room: string): string {
  return origin + roomPath(room) + linkHash(room);
}

export function recoveryLink(origin: string, room: string, key: string): string {
  return origin + roomPath(room) + linkHash(room, { owner: key });
}

export function invitationLink(origin: string, room: string, secret: string): string {
  return origin + roomPath(room) + linkHash(room, { invitation: secret });
}
