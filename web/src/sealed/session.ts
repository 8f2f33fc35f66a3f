/**
 * This page's place in a sealed room's group: it comes in, follows the commits of others, adds and removes whom it is
 * its turn to, and comes in anew when it lost the thread. What happens is done one thing after the other.
 */

import { ApiError, text } from "../lib/api";
import { askToJoin, proposeWith, sortWishes } from "./adding";
import { Attendance } from "./attendance";
import { type Bytes, random, toBase64url } from "./bytes";
import type { Engine, Leaf, Proposed, View } from "./engine";
import type { KeyRing } from "./keyRing";
import type { LinkKeys } from "./linkSecret";
import { RoomHistory } from "./roomHistory";
import { type AskToJoin, type Committed, type GroupEpoch, type JoinWish, type SealApi, toCommitted, toDevices, toGroupEpoch, toPresent } from "./sealApi";

export interface SealedSnapshot {
  /** The group of now; null: this device is not in it (yet). */
  view: View | null;
  /** Why one is not in it; null: it is on its way. */
  problem: SealedProblem | null;
}

export type SealedProblem = "unreachable" | "engine" | "link"; // The last: it is not the one that the room is sealed with.

export interface SealedOptions {
  device: string;
  /** A member id. */
  me: string;
  engine: Engine;
  api: Pick<SealApi, "state" | "epoch" | "joins" | "commit" | "commits" | "join" | "history">;
  link: LinkKeys;
  ring: KeyRing;
  /** Whether the room shows those who come later what was said before. */
  sharesHistory: () => boolean;
  times?: Partial<typeof TIMES>;
}

export const TIMES = {
  /** Who comes and goes within this time is one commit; the server's news have gathered for as long as many take. */
  gatherMs: 50,
  /** So much later than the one before it takes each present member's turn. */
  turnMs: 1500,
  /** Away for so long is gone: a page that is loaded anew is another device. */
  absentMs: 1500,
  /** After a lost connection everybody has it to come back. */
  returnMs: 10_000,
  /** Nobody let us in: we go in alone. */
  patienceMs: 6000,
  retryMs: 1000,
};

const MAX_TRIES = 8;

export class SealedSession {
  state: SealedSnapshot = { view: null, problem: null };
  private readonly times: typeof TIMES;
  private readonly listeners = new Set<() => void>();
  private readonly attendance: Attendance;
  private work: Promise<void> = Promise.resolve();
  private turn: ReturnType<typeof setTimeout> | undefined;
  private patience: ReturnType<typeof setTimeout> | undefined;
  private isOnline = false;
  private isClosed = false;
  private readonly history: RoomHistory;
  private tries = 0;
  /** The connection began with the wish to be added. */
  private hasAsked = false;

  constructor(private readonly options: SealedOptions) {
    this.times = { ...TIMES, ...options.times };
    this.attendance = new Attendance(options.device, this.times.absentMs);
    this.history = new RoomHistory(options);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): SealedSnapshot => this.state;

  /** How the server says that somebody here is called. */
  nameOf(device: string): string | null {
    return this.attendance.nameOf(device);
  }

  /** What a connection begins with: to be added. Null: this device is in the group, or asks later. */
  readonly wish = async (): Promise<AskToJoin | null> => {
    if (this.state.view !== null) return null;
    const keyPackage = await this.options.engine.keyPackage().catch(() => null);
    this.hasAsked = keyPackage !== null;
    return keyPackage && askToJoin(this.options.link.join, keyPackage);
  };

  /** The connection to the server is there: follow the room from where we are. */
  readonly handleOnline = (online: boolean): void => {
    this.isOnline = online;
    clearTimeout(this.turn);
    // Whoever is outside comes in with the news of who is there.
    if (!online || this.state.view === null) return;
    this.attendance.missNobodyUntil(Date.now() + this.times.returnMs);
    this.then(() => this.goOn());
  };

  /** News of the server's. */
  readonly hear = (message: Record<string, unknown>): void => {
    switch (text(message.type)) {
      case "seal_commit": {
        const committed = toCommitted(message);
        this.then(() => this.takeCommit(committed));
        break;
      }
      case "seal_welcome": {
        const { group, epoch, commit: welcome } = toCommitted({ ...message, commit: message.welcome });
        this.then(() => this.takeWelcome(group, epoch, welcome));
        break;
      }
      case "seal_present":
        this.attendance.set(toPresent(message.present));
        this.attendance.wish(toDevices(message.waiting));
        if (this.state.view === null) this.then(() => this.comeIn(toGroupEpoch(message)));
        this.plan();
        break;
      case "seal_changed":
        this.attendance.change(toPresent(message.came), toPresent(message.left));
        this.attendance.wish(toDevices(message.waiting));
        this.plan();
        break;
      default:
    }
  };

  /** That member was put out of the room: what comes from now on is not for the old link. */
  readonly handlePutOut = (member: string): void => {
    this.history.putOut.add(member);
    this.plan();
  };

  /** Something is here that the group of now does not open: did we miss a commit? */
  readonly lookAgain = (): void => {
    this.then(() => this.catchUp());
  };

  close(): void {
    this.isClosed = true;
    clearTimeout(this.turn);
    clearTimeout(this.patience);
    this.options.engine.close();
  }

  // --- coming in ------------------------------------------------------------------------------------------------

  /** One step of it; what does not end in the group is tried again. `told` is where the server says that the group is. */
  private async comeIn(told?: GroupEpoch): Promise<void> {
    clearTimeout(this.patience);
    if (!this.isOnline || this.state.view !== null) return;
    // All of the server's state is large where many are, and only for who goes in alone.
    const { api, device, engine, link } = this.options;
    const [{ group, epoch }, keyPackage] = await Promise.all([told ?? api.epoch(), this.hasAsked ? null : engine.keyPackage()]);
    this.hasAsked = false;
    if (epoch < 0) {
      await this.found(group, epoch);
      return;
    }
    if (!this.attendance.hasOthers || this.tries >= MAX_TRIES / 2) {
      await this.enterAlone();
      return;
    }
    if (keyPackage !== null) await api.join(device, await askToJoin(link.join, keyPackage));
    this.later(() => this.insist());
  }

  /** Half of the patience is over. */
  private async insist(): Promise<void> {
    if (this.state.view !== null) return;
    const joins = await this.options.api.joins();
    // We wait no more, and are not in: the welcome has not come. Otherwise nobody answers.
    if (!joins.some(({ device }) => device === this.options.device)) await this.enterAlone();
    else this.later(() => this.enterAlone());
  }

  private later(step: () => Promise<void>): void {
    this.patience = setTimeout(() => {
      this.then(step);
    }, this.times.patienceMs / 2);
  }

  private async found(replaced: string, epoch: number): Promise<void> {
    const group = toBase64url(random(16));
    await this.commit(await this.options.engine.create(group), { replaced, epoch, welcomed: [], newGroup: group });
  }

  private async enterAlone(): Promise<void> {
    if (this.state.view !== null) return;
    this.tries += 1;
    const { api, engine } = this.options;
    const state = await api.state();
    if (state.epoch < 0) {
      await this.found(state.group, state.epoch);
      return;
    }
    let proposed: Proposed;
    try {
      proposed = await engine.joinExternally(state.groupInfo);
    } catch {
      // What the server holds of the group is of no use to anybody: a new one takes its place.
      await this.found(state.group, state.epoch);
      return;
    }
    await this.commit(proposed, { replaced: state.group, epoch: state.epoch, welcomed: [], newGroup: null });
  }

  private async takeWelcome(group: string, epoch: number, welcome: Bytes): Promise<void> {
    const { view: current } = this.state;
    if (current !== null) {
      // Somebody took an old wish of ours for a new one: where we were, we are no more.
      if (group !== current.group || epoch > current.epoch) await this.comeInAnew();
      return;
    }
    const view = await this.options.engine.join(welcome);
    if (view === null) return;
    if (view.group !== group || view.epoch !== epoch) throw new Error("the welcome is of another epoch than the server says");
    clearTimeout(this.patience);
    this.enterEpoch(view);
    await this.catchUp();
  }

  // --- following ------------------------------------------------------------------------------------------------

  private async takeCommit(committed: Committed): Promise<void> {
    const { view } = this.state;
    if (view === null) return;
    if (committed.group !== view.group) await this.comeInAnew();
    else if (committed.epoch === view.epoch + 1) await this.follow(committed);
    else if (committed.epoch > view.epoch) await this.catchUp();
  }

  private async catchUp(): Promise<void> {
    const { view } = this.state;
    if (view === null) return;
    let missed: { commits: Committed[]; more: boolean };
    try {
      missed = await this.options.api.commits(view.group, view.epoch);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "epoch_gone") throw error;
      await this.comeInAnew();
      return;
    }
    for (const committed of missed.commits) {
      const now = this.current();
      if (committed.epoch === (now?.epoch ?? -2) + 1) await this.follow(committed);
    }
    if (missed.more && missed.commits.length > 0) await this.catchUp();
    else this.plan();
  }

  private goOn(): Promise<void> {
    return this.state.view === null ? this.comeIn() : this.catchUp();
  }

  /** As it is now, whatever it was before waiting. */
  private current(): View | null {
    return this.state.view;
  }

  private async follow({ commit }: Committed): Promise<void> {
    const before = this.state.view;
    // One that is not valid here may be so for others.
    const view = await this.options.engine.process(commit).catch(() => null);
    if (view === null || before === null) return this.comeInAnew();
    this.history.handleFollowed(before, view);
    this.enterEpoch(view);
  }

  private async comeInAnew(): Promise<void> {
    this.set({ view: null });
    await this.comeIn();
  }

  private enterEpoch(view: View): void {
    const isNew = this.state.view === null;
    this.tries = 0;
    this.attendance.drop(view.members.map(({ device }) => device));
    this.options.ring.add([{ group: view.group, epoch: view.epoch, key: view.chatKey }]);
    this.set({ view, problem: null });
    this.plan();
    // Who follows has the keys as they come; what others added to the history is read by whoever commits next.
    if (isNew) this.then(() => this.history.read(this.state.view));
  }

  // --- adding and removing --------------------------------------------------------------------------------------

  /** When it is this device's turn to commit what is due; the ones before it may have done it by then. */
  private plan(): void {
    clearTimeout(this.turn);
    const { view } = this.state;
    if (view === null || !this.isOnline || this.isClosed) return;
    const now = Date.now();
    const goneAtMs = this.attendance.goneAtMs(view, now);
    const dueMs = this.attendance.hasWishes || this.history.putOut.size > 0 ? now : goneAtMs;
    if (dueMs === null) return;
    const { gatherMs, turnMs } = this.times;
    const waitMs = Math.max(0, dueMs - now) + gatherMs + this.attendance.ahead(view) * turnMs;
    this.turn = setTimeout(() => {
      this.then(() => this.commitDue());
    }, waitMs);
  }

  private async commitDue(): Promise<void> {
    const { view } = this.state;
    if (view === null) return;
    const { good: wishes, bad: strangers } = await sortWishes(await this.wanted(), this.options.link.join);
    this.attendance.drop(strangers.map(({ device }) => device));
    const now = Date.now();
    // Whoever comes anew has lost the place that it had.
    const isAnew = ({ device }: Leaf) => wishes.some((wish) => wish.device === device);
    const isPutOut = ({ member }: Leaf) => this.history.putOut.has(member);
    const isOut = (leaf: Leaf) => leaf.index !== view.own && (this.attendance.isGone(leaf, now) || isAnew(leaf) || isPutOut(leaf));
    const remove = view.members.filter(isOut);
    if (wishes.length === 0 && remove.length === 0 && this.history.putOut.size === 0) {
      this.plan();
      return;
    }
    const { proposed, bad } = await proposeWith(this.options.engine, wishes, remove.map(({ index }) => index));
    if (proposed === null) {
      this.attendance.drop(bad.map(({ device }) => device));
      this.plan();
      return;
    }
    const welcomed = wishes.map(({ device }) => device);
    await this.commit(proposed, { replaced: view.group, epoch: view.epoch, welcomed, newGroup: null });
  }

  private async wanted(): Promise<JoinWish[]> {
    if (!this.attendance.hasWishes) return [];
    const joins = await this.options.api.joins();
    this.attendance.keepWishes(joins.map(({ device }) => device));
    return joins.filter(({ device }) => this.attendance.isWished(device));
  }

  private async commit(
    { commit, welcome, groupInfo, next }: Proposed,
    { replaced, epoch, welcomed, newGroup }: { replaced: string; epoch: number; welcomed: string[]; newGroup: string | null },
  ): Promise<void> {
    const { api, device, engine } = this.options;
    const history = await this.history.wrap(next, this.state.view);
    try {
      await api.commit({ device, group: replaced, epoch, commit, groupInfo, welcome, welcomed, history, newGroup });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "epoch_conflict") throw error;
      // Somebody was faster. A member follows them; whoever is outside looks again.
      if (this.state.view === null) this.soon(() => this.comeIn());
      else await this.catchUp();
      return;
    }
    this.history.handleCommitted(next);
    this.enterEpoch(await engine.accept());
  }

  // --- one after the other --------------------------------------------------------------------------------------

  private then(step: () => Promise<void>): void {
    this.work = this.work.then(async () => {
      if (this.isClosed) return;
      try {
        await step();
      } catch (error) {
        this.failed(error);
      }
    });
  }

  private failed(error: unknown): void {
    if (this.isClosed) return;
    this.tries += 1;
    const code = error instanceof ApiError ? error.code : null;
    const isRefused = code === "link_required";
    if (isRefused || this.tries >= MAX_TRIES) this.set({ problem: isRefused ? "link" : code === null ? "engine" : "unreachable" });
    if (!isRefused) this.soon(() => this.goOn());
  }

  private soon(step: () => Promise<void>): void {
    clearTimeout(this.patience);
    const pauseMs = this.times.retryMs * (0.2 + Math.random()) * Math.min(this.tries + 1, MAX_TRIES);
    this.patience = setTimeout(() => {
      this.then(step);
    }, pauseMs);
  }

  /** All that has happened so far is done. */
  settled(): Promise<void> {
    return this.work;
  }

  private set(change: Partial<SealedSnapshot>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}
