/** What goes between the page and its worker for MLS. */

import type { Bytes } from "./bytes";
import type { Device } from "./mls/mls";

/** Answered, as call 0, with the device. */
export interface Start {
  member: string;
  /** Null: a new one is drawn. */
  device: Device | null;
  psk: Bytes;
}

export interface Call {
  id: number;
  method: string;
  args: unknown[];
}

export interface Outcome {
  id: number;
  result?: unknown;
  problem?: string;
}
