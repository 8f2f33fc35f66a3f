/** Changes of one thing after the other. A change that fails is the end of that change only. */
export class Turns<Thing extends object> {
  private readonly last = new WeakMap<Thing, Promise<void>>();

  take(thing: Thing, action: () => Promise<void>): Promise<void> {
    const turn = (this.last.get(thing) ?? Promise.resolve()).then(action).catch(() => undefined);
    this.last.set(thing, turn);
    return turn;
  }
}
