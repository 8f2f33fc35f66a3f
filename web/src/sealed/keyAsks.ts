/** Asks those who are in the group for keys that are missing here, and answers them: SEALED.md, section 4. */

import { text } from "../lib/api";
import type { Body } from "../log/entries";
import type { Message } from "../log/sync";
import { makeAsk, makeGive, MAX_WANTED, newAnswerKey, publicOf, type Question, readAsk, readGive } from "./asking";
import type { Engine, View } from "./engine";
import { type EpochName, nameOf, sealedOf } from "./entrySeal";
import type { KeyRing } from "./keyRing";
import type { LogSeal } from "./logSeal";
import type { SealedSession } from "./session";

/** `nobody`: of those who are here nobody has the key, or may hand it on. `broken`: the key is here, and does not open it. */
export type Lack = "asking" | "nobody" | "broken";

export const ASK_TIMES = {
  /** What is missing within this time is one question. */
  gatherMs: 200,
  /** So long is waited for answers. */
  roundMs: 1000,
};

/** How many are to answer, by the round of the question: in the end everybody. An answer may be lost, so all are asked again. */
const ANSWERING = [4, 20, Infinity];
/** Epochs of which it is known who was there. */
const MAX_WITNESSED = 200;

interface Options {
  device: string;
  session: Pick<SealedSession, "state" | "subscribe" | "settled" | "lookAgain">;
  seal: LogSeal;
  ring: KeyRing;
  engine: Pick<Engine, "sign">;
  /** To the server. */
  send: (message: Message) => void;
  /** Whether the room shows those who come later what was said before. */
  sharesHistory: () => boolean;
  times?: Partial<typeof ASK_TIMES>;
}

export class KeyAsks {
  private readonly times: typeof ASK_TIMES;
  private readonly listeners = new Set<() => void>();
  /** By `nameOf` of an epoch. */
  private lacks: ReadonlyMap<string, Lack> = new Map();
  /** How often each was asked for since somebody came. */
  private readonly rounds = new Map<string, number>();
  /** What was asked last, and in which epoch of the group. */
  private asked: { where: string; names: readonly string[] } | null = null;
  private inGroup: ReadonlySet<string> = new Set();
  /** By epoch: whose devices were in the group. */
  private readonly witnessed = new Map<string, Set<string>>();
  private readonly answer: Promise<CryptoKeyPair>;
  private readonly ends: (() => void)[];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isClosed = false;

  constructor(private readonly options: Options) {
    this.times = { ...ASK_TIMES, ...options.times };
    this.answer = newAnswerKey();
    const { session, seal } = options;
    this.ends = [
      session.subscribe(this.handleGroup),
      seal.onLocked(() => {
        this.update();
        this.plan(this.times.gatherMs);
      }),
      seal.onReadable(this.update),
    ];
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Why this body does not open. */
  readonly lackOf = (body: Body): Lack => {
    const sealed = sealedOf(body);
    return (sealed === null ? undefined : this.lacks.get(nameOf(sealed))) ?? "broken";
  };

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    for (const end of this.ends) end();
  }

  /** News of the server's. */
  readonly hear = (message: Record<string, unknown>): void => {
    // What cannot be understood is not answered: who asked hears it from another, or asks again.
    if (message.type === "seal_ask") this.handleAsk(message).catch(() => undefined);
    if (message.type === "seal_give") this.handleGive(message).catch(() => undefined);
    if (message.type === "seal_changed" && Array.isArray(message.came) && message.came.length > 0) this.beginAnew();
  };

  // --- asking ---------------------------------------------------------------------------------------------------

  private readonly handleGroup = (): void => {
    const { view } = this.options.session.state;
    if (view === null) return;
    this.witness(view);
    this.forgive(view);
    const before = this.inGroup;
    this.inGroup = new Set(view.members.map(({ device }) => device));
    if ([...this.inGroup].some((device) => !before.has(device))) this.beginAnew();
    this.plan(this.times.gatherMs);
  };

  /** Somebody who came may have what nobody had. */
  private beginAnew(): void {
    for (const name of this.lacks.keys()) this.rounds.delete(name);
    if (this.lacks.size > 0) this.plan(this.times.gatherMs);
  }

  /** Questions and answers of an epoch that is over are not read: that round does not count. */
  private forgive(view: View): void {
    if (this.asked === null || this.asked.where === nameOf(view)) return;
    for (const name of this.asked.names) this.rounds.set(name, Math.max(0, (this.rounds.get(name) ?? 0) - 1));
    this.asked = null;
  }

  private witness({ group, epoch, members }: View): void {
    this.witnessed.set(nameOf({ group, epoch }), new Set(members.map(({ signatureKey }) => signatureKey)));
    for (const oldest of this.witnessed.keys()) {
      if (this.witnessed.size <= MAX_WITNESSED) break;
      this.witnessed.delete(oldest);
    }
  }

  private plan(ms: number): void {
    if (this.timer !== undefined || this.isClosed) return;
    this.timer = setTimeout(() => {
      // What could not be made or sent was asked in vain, like a question that is lost.
      void this.ask().catch(() => {
        if (this.options.seal.lacking().length > 0) this.plan(this.times.roundMs);
      });
    }, ms);
  }

  private async ask(): Promise<void> {
    const { session, seal, engine, device, send } = this.options;
    this.asked = null;
    this.lookAhead();
    // What the server keeps of former epochs is read by then.
    await session.settled().finally(() => {
      this.timer = undefined;
    });
    const { view } = session.state;
    if (view === null || this.isClosed) return;
    const open = seal.lacking().filter((one) => this.roundOf(one) <= ANSWERING.length);
    const wanted = open.filter((one) => this.roundOf(one) < ANSWERING.length).slice(0, MAX_WANTED);
    const round = Math.min(...wanted.map((one) => this.roundOf(one)));
    // Who was asked for the last time has had its time to answer.
    const over = open.filter((one) => this.roundOf(one) === ANSWERING.length);
    for (const one of [...wanted, ...over]) this.rounds.set(nameOf(one), this.roundOf(one) + 1);
    this.update();
    if (wanted.length === 0) return;
    this.asked = { where: nameOf(view), names: wanted.map(nameOf) };
    const publicKey = await publicOf(await this.answer);
    send({ type: "seal_ask", ask: await makeAsk(view, device, { wanted, round, publicKey }, engine.sign) });
    this.plan(this.times.roundMs);
  }

  private roundOf = (one: EpochName): number => this.rounds.get(nameOf(one)) ?? 0;

  /** What is from an epoch that we have not heard of: we missed a commit. */
  private lookAhead(): void {
    const { session, seal } = this.options;
    const { view } = session.state;
    if (view === null) return;
    const isAhead = (one: EpochName) => this.roundOf(one) === 0 && (one.group !== view.group || one.epoch > view.epoch);
    if (seal.lacking().some(isAhead)) session.lookAgain();
  }

  private readonly update = (): void => {
    const { seal, ring } = this.options;
    const lacks = new Map<string, Lack>();
    for (const one of seal.lacking()) {
      const isOver = this.roundOf(one) > ANSWERING.length;
      const over = ring.find(one.group, one.epoch) === null ? "nobody" : "broken";
      lacks.set(nameOf(one), isOver ? over : "asking");
    }
    this.lacks = lacks;
    for (const listener of this.listeners) listener();
  };

  private async handleGive(message: Record<string, unknown>): Promise<void> {
    const { session, seal, device } = this.options;
    const { view } = session.state;
    if (view === null) return;
    const keys = await readGive(view, [text(message.device), device], (await this.answer).privateKey, message.give);
    await seal.tryKeys(keys);
  }

  // --- answering ------------------------------------------------------------------------------------------------

  private async handleAsk(message: Record<string, unknown>): Promise<void> {
    const { session, device, send } = this.options;
    await session.settled();
    const { view } = session.state;
    const to = text(message.device);
    const leaf = view?.members.find((one) => one.device === to && one.member === text(message.from));
    if (view === null || leaf === undefined || leaf.index === view.own) return;
    const asked = await readAsk(view, leaf, message.ask);
    if (asked === null || !this.isOurs(view, asked)) return;
    const keys = asked.wanted.filter((one) => this.mayHave(one, leaf.signatureKey)).flatMap((one) => this.held(one));
    const give = keys.length === 0 ? null : await makeGive(view, [device, to], asked, keys);
    if (give !== null) send({ type: "seal_give", device: to, give });
  }

  private isOurs(view: View, { round }: Question): boolean {
    const before = view.members.filter(({ index }) => index < view.own).length;
    return before < (ANSWERING[round] ?? Infinity);
  }

  private mayHave(one: EpochName, signatureKey: string): boolean {
    return this.options.sharesHistory() || this.witnessed.get(nameOf(one))?.has(signatureKey) === true;
  }

  private held({ group, epoch }: EpochName) {
    const key = this.options.ring.find(group, epoch);
    return key === null ? [] : [{ group, epoch, key }];
  }
}
