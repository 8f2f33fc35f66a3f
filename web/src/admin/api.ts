/** The parts of the REST API that are for admins. Every function throws `ApiError`. */

import { list, number, part } from "../account/api";
import { asRecord, request, text } from "../lib/api";

export const OVERVIEW = ["rooms", "entries", "files", "file_bytes", "calls", "participants"] as const;
export type Overview = Record<(typeof OVERVIEW)[number], number>;

export interface AdminRoom {
  name: string;
  title: string;
  createdAtMs: number;
  members: number;
  entries: number;
  files: number;
  fileBytes: number;
  /** Null: nothing was said yet. */
  newestAtMs: number | null;
  participants: number;
}

export interface AdminCall {
  room: string;
  lasts: boolean;
  participants: number;
  beganAtMs: number;
  /** Of a cluster: how many are there by way of each node. */
  nodes: { name: string; participants: number }[];
}

export interface AdminNode {
  name: string;
  version: string;
  address: string;
  here: boolean;
  connected: boolean;
  registered: boolean;
  draining: boolean;
  rooms: number;
  participants: number;
  links: number;
  /** Of media, from the node that answers to this one. */
  sentBytes: number;
  receivedBytes: number;
}

export interface AdminNodes {
  nodes: AdminNode[];
  /** Why the registry does not answer. */
  problem: string;
}

export interface OtherAccount {
  id: string;
  name: string;
  isAdmin: boolean;
  isDisabled: boolean;
  createdAtMs: number;
}

export interface AdminHook {
  room: string;
  id: string;
  failures: number;
  gone: boolean;
  waiting: number;
}

export interface AuditEntry {
  id: number;
  atMs: number;
  actor: string;
  act: string;
  subject: string;
  details: Record<string, unknown>;
}

/** Some of many. */
export interface Page<T> {
  items: T[];
  /** Where the next page begins; null: there is none. */
  next: string | null;
}

const PAGE = 50;
const next = (value: unknown) => (typeof value === "string" ? value : null);

export async function fetchOverview(): Promise<Overview> {
  const answer = await request("/api/v1/admin/overview");
  return Object.fromEntries(OVERVIEW.map((name) => [name, number(answer[name])])) as Overview;
}

export async function fetchRooms(after: string): Promise<Page<AdminRoom>> {
  const answer = await request(`/api/v1/admin/rooms?limit=${PAGE}&after=${part(after)}`);
  const items = list(answer.rooms).map((one) => ({
    name: text(one.name),
    title: text(one.title),
    createdAtMs: number(one.created_at_ms),
    members: number(one.members),
    entries: number(one.entries),
    files: number(one.files),
    fileBytes: number(one.file_bytes),
    newestAtMs: typeof one.newest_at_ms === "number" ? one.newest_at_ms : null,
    participants: number(one.participants),
  }));
  return { items, next: next(answer.next) };
}

export const deleteRoom = (name: string) => request(`/api/v1/admin/rooms/${part(name)}`, { method: "DELETE" });

export async function fetchCalls(): Promise<AdminCall[]> {
  return list((await request("/api/v1/admin/calls")).calls).map((one) => ({
    room: text(one.room),
    lasts: one.lasts === true,
    participants: number(one.participants),
    beganAtMs: number(one.began_at_ms),
    nodes: list(one.nodes).map((node) => ({ name: text(node.name), participants: number(node.participants) })),
  }));
}

export async function fetchNodes(): Promise<AdminNodes> {
  const answer = await request("/api/v1/admin/nodes");
  const nodes = list(answer.nodes).map((one) => ({
    name: text(one.name),
    version: text(one.version),
    address: text(one.address),
    here: one.here === true,
    connected: one.connected === true,
    registered: one.registered === true,
    draining: one.draining === true,
    rooms: number(one.rooms),
    participants: number(one.participants),
    links: number(one.links),
    sentBytes: number(one.sent_bytes),
    receivedBytes: number(one.received_bytes),
  }));
  return { nodes, problem: text(answer.problem) };
}

export const endCall = (room: string) => request(`/api/v1/admin/calls/${part(room)}/end`, { method: "POST" });

export async function fetchAccounts(after: string): Promise<Page<OtherAccount>> {
  const answer = await request(`/api/v1/accounts?limit=${PAGE}&after=${part(after)}`);
  const items = list(answer.accounts).map((one) => ({
    id: text(one.account_id),
    name: text(one.name),
    isAdmin: one.is_admin === true,
    isDisabled: one.is_disabled === true,
    createdAtMs: number(one.created_at_ms),
  }));
  return { items, next: next(answer.next) };
}

export const createAccount = (name: string, password: string, isAdmin: boolean) =>
  request("/api/v1/accounts", { method: "POST", body: { name, password, is_admin: isAdmin } });

export const changeAccount = (id: string, change: { is_admin?: boolean; is_disabled?: boolean }) =>
  request(`/api/v1/accounts/${part(id)}`, { method: "PATCH", body: change });

export const setPassword = (id: string, password: string) =>
  request(`/api/v1/accounts/${part(id)}/password`, { method: "PUT", body: { password } });

export const removeAccount = (id: string) => request(`/api/v1/accounts/${part(id)}`, { method: "DELETE" });

export async function inviteAccount(): Promise<{ code: string; expiresAtMs: number }> {
  const answer = await request("/api/v1/accounts/invitations", { method: "POST" });
  return { code: text(answer.code), expiresAtMs: number(answer.expires_at_ms) };
}

export async function fetchHooks(): Promise<AdminHook[]> {
  return list((await request("/api/v1/admin/hooks")).hooks).map((one) => ({
    room: text(one.room),
    id: text(one.hook_id),
    failures: number(one.failures),
    gone: one.gone === true,
    waiting: number(one.waiting),
  }));
}

/** Newest first; `after` is the page before's last entry. */
export async function fetchAudit(after: string): Promise<Page<AuditEntry>> {
  const answer = await request(`/api/v1/admin/audit?limit=${PAGE}${after === "" ? "" : `&before=${part(after)}`}`);
  const items = list(answer.entries).map((one) => ({
    id: number(one.entry_id),
    atMs: number(one.at_ms),
    actor: text(one.actor),
    act: text(one.act),
    subject: text(one.subject),
    details: asRecord(one.details),
  }));
  return { items, next: items.length === PAGE ? String(items.at(-1)?.id) : null };
}
