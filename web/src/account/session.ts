/** Who is signed in, as far as this page knows: one answer for all parts of the app. */

import { ApiError } from "../lib/api";
import { roomFromPath } from "../lib/rooms";
import { readText, writeText } from "../lib/storage";
import { type Account, fetchAccount } from "./api";

type Listener = () => void;

/** Undefined: not known yet; null: nobody. */
export type Signed = Account | null | undefined;

export class AccountSession {
  private account: Signed;
  private asked: Promise<Signed> | null = null;
  private readonly listeners = new Set<Listener>();

  constructor(private readonly ask: () => Promise<Account>) {}

  readonly snapshot = (): Signed => this.account;

  readonly subscribe = (listener: Listener): Listener => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  /** Asks the server once, however many want to know. Throws `ApiError` when it does not say. */
  load(): Promise<Signed> {
    this.asked ??= this.fetch();
    return this.asked;
  }

  set(account: Account | null): void {
    this.asked = Promise.resolve(account);
    this.tell(account);
  }

  private async fetch(): Promise<Signed> {
    try {
      this.tell(await this.ask());
    } catch (error) {
      // Nobody is signed in, or there are no accounts here.
      if (!(error instanceof ApiError) || !["unauthorized", "not_found"].includes(error.code)) {
        this.asked = null;
        throw error;
      }
      this.tell(null);
    }
    return this.account;
  }

  private tell(account: Account | null): void {
    this.account = account;
    for (const listener of this.listeners) listener();
  }
}

export const accountSession = new AccountSession(fetchAccount);

const BACK = "ting.account.back";

/** Where to go on after signing in, which may lead over another site. */
export function keepWayBack(path: string | null): void {
  writeText("session", BACK, path);
}

/** Takes it, once. Only pages of the app. */
export function takeWayBack(): string {
  const path = readText("session", BACK) ?? "";
  keepWayBack(null);
  return wayBack(path);
}

export function wayBack(path: string): string {
  return path === "/admin" || roomFromPath(path) !== null ? path : "/account";
}
