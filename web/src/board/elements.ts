/** The elements of a board in a Yjs document: one entry of a map for each, so that what two people do at once is both kept. */

import * as Y from "yjs";
import { asRecord } from "../lib/api";

/** What is known here of an element of Excalidraw's. */
export interface Element {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly versionNonce: number;
  readonly isDeleted: boolean;
}

/** What others may put on a board: no pictures, which are files, and no pages of others. */
const TYPES: ReadonlySet<string> = new Set(["rectangle", "ellipse", "diamond", "line", "arrow", "freedraw", "text", "frame", "magicframe"]);
/** More are not shown. */
const MAX_ELEMENTS = 5000;
/** So many versions ahead is what was wiped off: pages change elements by themselves too (a text whose font has come is measured
 * anew), and what one has just changed so, not knowing of it yet, must not bring it back. */
const WIPE_AHEAD = 1000;
/** Changes made here, and those made here that the page does not show yet. */
const DRAWN = "drawn";
const WIPED = "wiped";

function isElement(value: unknown): value is Element {
  const { id, type, version, versionNonce } = asRecord(value);
  return typeof id === "string" && typeof type === "string" && TYPES.has(type) && Number.isSafeInteger(version) && Number.isSafeInteger(versionNonce);
}

/** As Excalidraw decides between two states of one element. */
const isNewer = (one: Element, other: Element): boolean =>
  one.version > other.version || (one.version === other.version && one.versionNonce < other.versionNonce);

interface ElementsOptions {
  /** Called with each change that was made here. */
  onUpdate: (update: Uint8Array) => void;
  /** Called when the page has to show something else than it drew itself. */
  onShow: () => void;
}

export class Elements {
  private readonly doc = new Y.Doc();
  private readonly map = this.doc.getMap<Element>("elements");

  constructor({ onUpdate, onShow }: ElementsOptions) {
    this.doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin === DRAWN || origin === WIPED) onUpdate(update);
    });
    this.map.observe((_, { origin }) => {
      if (origin !== DRAWN) onShow();
    });
  }

  /** Those that are deleted, too. */
  all(): Element[] {
    return [...this.map.entries()].flatMap(([id, value]) => (isElement(value) && value.id === id ? [value] : [])).slice(0, MAX_ELEMENTS);
  }

  /** What the page shows now; what is no newer than what is known changes nothing. */
  put(elements: readonly Element[]): void {
    const changed = elements.filter((element) => {
      const known = this.map.get(element.id);
      return isElement(element) && (known === undefined || isNewer(element, known));
    });
    if (changed.length === 0) return;
    this.doc.transact(() => {
      for (const element of changed) this.map.set(element.id, element);
    }, DRAWN);
  }

  /** Everything is deleted, for all. */
  wipe(nonce: () => number): void {
    const left = this.all().filter(({ isDeleted }) => !isDeleted);
    this.doc.transact(() => {
      for (const element of left) this.map.set(element.id, { ...element, isDeleted: true, version: element.version + WIPE_AHEAD, versionNonce: nonce() });
    }, WIPED);
  }

  /** What others did. What is no update changes nothing. */
  apply(update: Uint8Array): void {
    try {
      Y.applyUpdate(this.doc, update, "others");
    } catch {
      // Not from a page like this one.
    }
  }

  /** Whether there are changes to something that is not here. */
  get lacks(): boolean {
    return this.doc.store.pendingStructs !== null;
  }

  /** All of it, for those who have nothing. */
  encode(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(Y.encodeStateAsUpdate(this.doc));
  }
}

/** Several changes as one. */
export const merge = (updates: Uint8Array[]): Uint8Array<ArrayBuffer> => new Uint8Array(Y.mergeUpdates(updates));
