/** Adding to the group those who may be in it. */

import { type Bytes, hmac, isHmac, toBase64url } from "./bytes";
import type { Engine, Proposed } from "./engine";
import type { AskToJoin, JoinWish } from "./sealApi";

/** By whoever holds the link. `joinKey` is of `LinkKeys`. */
export async function askToJoin(joinKey: Bytes, keyPackage: Bytes): Promise<AskToJoin> {
  return { key_package: toBase64url(keyPackage), proof: toBase64url(await hmac(joinKey, keyPackage)) };
}

/** Those who hold the link, and those who do not. `joinKey` is of `LinkKeys`. */
export async function sortWishes(wishes: readonly JoinWish[], joinKey: Bytes) {
  const good: JoinWish[] = [];
  const bad: JoinWish[] = [];
  for (const wish of wishes) {
    ((await isHmac(joinKey, wish.keyPackage, wish.proof)) ? good : bad).push(wish);
  }
  return { good, bad };
}

/** A commit; or, in `bad`, whoever is not who the server says or cannot be added. Throws where it is nobody's fault of these. */
export async function proposeWith(
  engine: Pick<Engine, "propose">,
  wishes: readonly JoinWish[],
  remove: readonly number[],
): Promise<{ proposed: Proposed; bad: [] } | { proposed: null; bad: JoinWish[] }> {
  let proposed: Proposed;
  try {
    proposed = await engine.propose(wishes.map(({ keyPackage }) => keyPackage), remove);
  } catch (error) {
    const bad = await refused(engine, wishes, remove);
    if (bad.length === 0) throw error;
    return { proposed: null, bad };
  }
  const { members } = proposed.next;
  const isWho = ({ device, from }: JoinWish) => members.some((leaf) => leaf.device === device && leaf.member === from);
  const bad = wishes.filter((wish) => !isWho(wish));
  return bad.length === 0 ? { proposed, bad: [] } : { proposed: null, bad };
}

/** Those that cannot be added even alone. */
async function refused(engine: Pick<Engine, "propose">, wishes: readonly JoinWish[], remove: readonly number[]) {
  const bad: JoinWish[] = [];
  for (const wish of wishes) {
    try {
      await engine.propose([wish.keyPackage], remove);
    } catch {
      bad.push(wish);
    }
  }
  return bad;
}
