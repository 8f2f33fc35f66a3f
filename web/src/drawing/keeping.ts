/** Strokes that stay, written to the room's log by the presenter's page: it alone knows who was allowed to draw. */

import type { Body } from "../log/entries";
import type { Stroke } from "./sheet";

/** Strokes that end within this time are one entry. */
const GATHER_MS = 1000;
/** Of one entry, in JSON: what the server takes, sealed or not. */
export const MAX_ENTRY_BYTES = 12_000;

interface Kept {
  by: string;
  name: string;
  points: readonly number[];
}

export class Keeping {
  private waiting: Kept[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly share: string,
    private readonly write: (body: Body) => void,
  ) {}

  /** `by` is a member, `name` how they are called. */
  add({ points }: Stroke, by: string, name: string): void {
    this.waiting.push({ by, name, points });
    this.timer ??= setTimeout(() => {
      this.flush();
    }, GATHER_MS);
  }

  /** What was drawn so far was wiped off. */
  clear(): void {
    this.flush();
    this.write({ share: this.share, clear: true });
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    let part: Kept[] = [];
    let bytes = 0;
    for (const stroke of this.waiting) {
      const size = new TextEncoder().encode(JSON.stringify(stroke)).length + 1;
      if (part.length > 0 && bytes + size > MAX_ENTRY_BYTES - 500) {
        this.write({ share: this.share, strokes: part });
        [part, bytes] = [[], 0];
      }
      part.push(stroke);
      bytes += size;
    }
    if (part.length > 0) this.write({ share: this.share, strokes: part });
    this.waiting = [];
  }
}
