/** The parts of the REST API that are about one's own account. Every function throws `ApiError`. */

import { asRecord, request, text } from "../lib/api";

export interface SignInMethods {
  password: boolean;
  passkey: boolean;
  /** What people know the provider by; null: there is none. */
  openid: string | null;
  registration: "closed" | "invite" | "open";
}

export interface Account {
  id: string;
  name: string;
  isAdmin: boolean;
  hasPassword: boolean;
  hasOpenid: boolean;
}

export interface Device {
  id: string;
  name: string;
  createdAtMs: number;
  seenAtMs: number;
  isThis: boolean;
}

export interface Passkey {
  id: string;
  name: string;
  createdAtMs: number;
  /** 0: never since it was added. */
  usedAtMs: number;
}

/** What `navigator.credentials` takes, as JSON; its answer goes back with the ticket. */
export interface Ceremony {
  ticket: string;
  options: Record<string, unknown>;
}

type Answer = Record<string, unknown>;

export const number = (value: unknown): number => (typeof value === "number" ? value : 0);
export const list = (value: unknown): Answer[] => (Array.isArray(value) ? value.map(asRecord) : []);
export const part = (id: string): string => encodeURIComponent(id);

const BASE = "/api/v1/account";
const post = (path: string, body?: unknown) => request(BASE + path, { method: "POST", body });

export function toMethods(answer: Answer): SignInMethods {
  const { registration } = answer;
  return {
    password: answer.password === true,
    passkey: answer.passkey === true,
    openid: typeof answer.openid === "string" ? answer.openid : null,
    registration: registration === "open" || registration === "invite" ? registration : "closed",
  };
}

export function toAccount(answer: Answer): Account {
  return {
    id: text(answer.account_id),
    name: text(answer.name),
    isAdmin: answer.is_admin === true,
    hasPassword: answer.has_password === true,
    hasOpenid: answer.has_openid === true,
  };
}

function toCeremony(answer: Answer): Ceremony {
  return { ticket: text(answer.ticket), options: asRecord(answer.options) };
}

function toPasskey(one: Answer): Passkey {
  return {
    id: text(one.passkey_id),
    name: text(one.name),
    createdAtMs: number(one.created_at_ms),
    usedAtMs: number(one.used_at_ms),
  };
}

// --- signing in -----------------------------------------------------------------------------------------------------

export const fetchMethods = async () => toMethods(await request(`${BASE}/sign-in`));
export const fetchAccount = async () => toAccount(await request(BASE));

export async function signInWithPassword(name: string, password: string): Promise<Account> {
  return toAccount(await post("/sign-in/password", { name, password }));
}

export const beginPasskeySignIn = async () => toCeremony(await post("/sign-in/passkey/options"));

export async function finishPasskeySignIn(ticket: string, credential: unknown): Promise<Account> {
  return toAccount(await post("/sign-in/passkey", { ticket, credential }));
}

/** Where to send the browser. */
export async function beginOpenidSignIn(invitation: string): Promise<string> {
  return text((await post("/sign-in/openid", { invitation })).url);
}

export async function finishOpenid(state: string, code: string, iss: string): Promise<Account> {
  return toAccount(asRecord((await post("/sign-in/openid/finish", { state, code, iss })).account));
}

export async function registerWithPassword(name: string, password: string, invitation: string): Promise<Account> {
  return toAccount(await post("/register", { name, password, invitation }));
}

export async function beginPasskeyRegistration(name: string, invitation: string): Promise<Ceremony> {
  return toCeremony(await post("/register/passkey/options", { name, invitation }));
}

export async function finishPasskeyRegistration(
  ticket: string,
  credential: unknown,
  invitation: string,
): Promise<Account> {
  return toAccount(await post("/register/passkey", { ticket, credential, invitation }));
}

// --- proving who one is ---------------------------------------------------------------------------------------------

export const proveWithPassword = (password: string) => post("/prove/password", { password });
export const beginPasskeyProof = async () => toCeremony(await post("/prove/passkey/options"));
export const finishPasskeyProof = (ticket: string, credential: unknown) => post("/prove/passkey", { ticket, credential });
export const beginOpenidProof = async () => text((await post("/prove/openid")).url);

// --- the account ----------------------------------------------------------------------------------------------------

export async function renameAccount(name: string): Promise<Account> {
  return toAccount(await request(BASE, { method: "PATCH", body: { name } }));
}

export const deleteAccount = () => request(BASE, { method: "DELETE" });
export const changePassword = (password: string) => request(`${BASE}/password`, { method: "PUT", body: { password } });
export const signOut = () => post("/sign-out");

export async function fetchDevices(): Promise<Device[]> {
  return list((await request(`${BASE}/devices`)).devices).map((one) => ({
    id: text(one.device_id),
    name: text(one.name),
    createdAtMs: number(one.created_at_ms),
    seenAtMs: number(one.seen_at_ms),
    isThis: one.is_this === true,
  }));
}

export const endDevice = (id: string) => request(`${BASE}/devices/${part(id)}`, { method: "DELETE" });
export const endOtherDevices = () => request(`${BASE}/devices`, { method: "DELETE" });

export async function fetchPasskeys(): Promise<Passkey[]> {
  return list((await request(`${BASE}/passkeys`)).passkeys).map(toPasskey);
}

export const beginAddingPasskey = async () => toCeremony(await post("/passkeys/options"));
export const addPasskey = (ticket: string, credential: unknown, name: string) =>
  post("/passkeys", { ticket, credential, name });
export const removePasskey = (id: string) => request(`${BASE}/passkeys/${part(id)}`, { method: "DELETE" });
export const beginOpenidLink = async () => text((await post("/openid")).url);
export const unlinkOpenid = () => request(`${BASE}/openid`, { method: "DELETE" });
