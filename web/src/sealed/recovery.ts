/**
 * A recovery key: with it, another device of the same person reads everything that this one can read. The server keeps
 * the key ring sealed under it; the key itself is shown once and stays in this browser.
 */

import { type Bytes, hkdf, open, random, seal, utf8 } from "./bytes";
import type { KeyRing } from "./keyRing";
import type { SealApi } from "./sealApi";
import { load, save } from "./store";

/** Without letters that look alike. */
const ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LENGTH = 32;
const CLEAN = new RegExp(`^[${ALPHABET}]{${LENGTH}}$`);
const GROUP = 4;
const WRITE_MS = 2000;

/** 160 random bits in eight groups of four. */
export function newRecoveryKey(): string {
  const letters = Array.from(random(LENGTH), (byte) => ALPHABET.charAt(byte % ALPHABET.length)).join("");
  return (letters.match(new RegExp(`.{${GROUP}}`, "g")) ?? []).join("-");
}

/** As it was made, however somebody types it; null for what cannot be one. */
export function cleanRecoveryKey(typed: string): string | null {
  const letters = typed.toUpperCase().replace(/[^A-Z0-9]/g, "");
  return CLEAN.test(letters) ? letters : null;
}

const sealingKey = (clean: string): Promise<Bytes> => hkdf(utf8(clean), "ting recovery", 32);
const aadOf = (room: string): Bytes => utf8(`ting recovery ${room}`);

export type RecoveryResult = "done" | "wrong" | "none";

export class Recovery {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private unlisten: () => void = () => undefined;

  constructor(
    private readonly room: string,
    private readonly ring: KeyRing,
    private readonly api: Pick<SealApi, "backup" | "putBackup">,
  ) {}

  /** Goes on keeping what was begun on an earlier page. */
  async start(): Promise<void> {
    const kept = await load("devices", this.name);
    if (typeof kept === "string") this.keep(kept);
  }

  private get name(): string {
    return `recovery ${this.room}`;
  }

  /** A new key; one that was made before opens nothing that comes from now on. Throws `ApiError`. */
  async make(): Promise<string> {
    const key = newRecoveryKey();
    const clean = cleanRecoveryKey(key) ?? "";
    await this.write(clean);
    await save("devices", this.name, clean);
    this.keep(clean);
    return key;
  }

  /** Throws `ApiError`. */
  async use(typed: string): Promise<RecoveryResult> {
    const clean = cleanRecoveryKey(typed);
    if (clean === null) return "wrong";
    const blob = await this.api.backup();
    if (blob === null) return "none";
    const plain = await open(await sealingKey(clean), blob, aadOf(this.room));
    if (plain === null) return "wrong";
    this.ring.import(plain);
    await save("devices", this.name, clean);
    this.keep(clean);
    return "done";
  }

  close(): void {
    this.unlisten();
    clearTimeout(this.timer);
  }

  private keep(clean: string): void {
    this.close();
    this.unlisten = this.ring.listen(() => {
      clearTimeout(this.timer);
      // What fails is written with the next key.
      this.timer = setTimeout(() => void this.write(clean).catch(() => undefined), WRITE_MS);
    });
  }

  private async write(clean: string): Promise<void> {
    await this.api.putBackup(await seal(await sealingKey(clean), this.ring.export(), aadOf(this.room)));
  }
}
