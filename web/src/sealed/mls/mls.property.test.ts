/** Any order of joins, leaves, commits, losses and doubles: live members agree, removed ones are out. */

import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import type { Core } from "./core";
import { MlsError } from "./errors";
import { Group, type Device } from "./mls";
import { bytes, Delivery, hex, LINK, room, someone, startCore } from "./testWorld";

interface Person {
  device: Device;
  group: Group;
  /** A commit that was sent, but whose fate this person has not heard of. */
  isWaiting: boolean;
}

const MEMBERS = 7;
const secretOf = (group: Group) => hex(group.exporter("ting test", bytes("all"), 32));

let core: Core;

beforeAll(async () => {
  core = await startCore();
});

class World {
  readonly delivery: Delivery;
  readonly people: Person[];
  readonly gone: Person[] = [];
  /** The secret of each epoch, as its first holder knew it. */
  readonly secrets: string[] = [];

  constructor() {
    const { device, group, delivery } = room(core);
    this.delivery = delivery;
    this.people = [{ device, group, isWaiting: false }];
    this.note(group);
  }

  private note(group: Group) {
    const { epoch } = group.state();
    const secret = secretOf(group);
    this.secrets[epoch] ??= secret;
    expect(secret).toBe(this.secrets[epoch]);
  }

  private person(at: number): Person {
    const found = this.people[at % this.people.length];
    if (found === undefined) throw new Error("nobody is here");
    return found;
  }

  /** Hears up to `count` commits; each again where `isDoubled`. */
  hear(person: Person, count: number, isDoubled: boolean) {
    const { group } = person;
    for (const commit of this.delivery.log.slice(group.state().epoch).slice(0, count)) {
      const event = group.process(commit);
      person.isWaiting = false;
      if (isDoubled) {
        expect(() => group.process(commit)).toThrow(MlsError);
      }
      if (event.kind === "commit" && event.isRemoved) {
        this.people.splice(this.people.indexOf(person), 1);
        this.gone.push(person);
        return;
      }
      this.note(group);
    }
  }

  join() {
    if (this.people.length >= MEMBERS) return;
    const device = someone(core);
    const { group, commit } = Group.external(core, device, this.delivery.info, LINK);
    expect(this.delivery.submit(this.delivery.epoch, commit, group.groupInfo())).toBe(true);
    this.people.push({ device, group, isWaiting: false });
    this.note(group);
  }

  /** Commits from whatever epoch this person is in; the answer of the delivery service may be lost. */
  commit(at: number, target: number | null, isAnswerLost: boolean) {
    const person = this.person(at);
    const { group } = person;
    if (person.isWaiting) {
      expect(() => group.commit()).toThrow(MlsError);
      return;
    }
    const { epoch, leaf } = group.state();
    const others = group.members().filter((member) => member.leaf !== leaf);
    const removed = target === null ? undefined : others[target % Math.max(1, others.length)];
    const { message } = group.commit({ removes: removed === undefined ? [] : [removed.leaf] });
    // The group info of the epoch to come is the accepted committer's: it is known once the commit counts.
    const isTaken = epoch === this.delivery.epoch;
    if (isTaken) {
      const next = Group.restore(core, group.save());
      next.apply();
      this.delivery.submit(epoch, message, next.groupInfo());
      this.note(next);
      next.forget();
    }
    if (isAnswerLost) person.isWaiting = true;
    else if (isTaken) group.apply();
    else group.discard();
  }

  crash(at: number) {
    const person = this.person(at);
    const saved = person.group.save();
    person.group.forget();
    person.group = Group.restore(core, saved);
  }

  settle() {
    for (const person of [...this.people]) this.hear(person, Infinity, false);
  }
}

const steps = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ do: "join" as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("commit" as const), at: fc.nat(), isLost: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("remove" as const), at: fc.nat(), target: fc.nat(), isLost: fc.boolean() }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("hear" as const), at: fc.nat(), count: fc.integer({ min: 1, max: 3 }), isDoubled: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), at: fc.nat() }) },
);
type Step = typeof steps extends fc.Arbitrary<infer T> ? T : never;

function take(world: World, step: Step) {
  if (world.people.length === 0) return;
  if (step.do === "join") world.join();
  else if (step.do === "commit") world.commit(step.at, null, step.isLost);
  else if (step.do === "remove") world.commit(step.at, step.target, step.isLost);
  else if (step.do === "crash") world.crash(step.at);
  else {
    const person = world.people[step.at % world.people.length];
    if (person !== undefined) world.hear(person, step.count, step.isDoubled);
  }
}

it("live members agree on the secret of every epoch; who is out has none of the later ones", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 5, maxLength: 25 }), (script) => {
      const world = new World();
      for (const step of script) take(world, step);
      world.settle();
      const last = world.delivery.epoch;
      for (const { group } of world.people) {
        expect(group.state().epoch).toBe(last);
        expect(secretOf(group)).toBe(world.secrets[last]);
      }
      expect(new Set(world.people.map(({ group }) => hex(group.authenticator()))).size).toBe(Math.min(1, world.people.length));
      expect(new Set(world.secrets).size).toBe(last + 1);
      for (const { group } of world.gone) {
        expect(() => secretOf(group)).toThrow(MlsError);
      }
      for (const { group } of [...world.people, ...world.gone]) group.forget();
    }),
    { numRuns: 30 },
  );
});
