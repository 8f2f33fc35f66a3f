/**
 * What a page and the page that shows it in a frame say to each other (window.postMessage). Down: `{ting: "command", name,
 * args}`. Up: `{ting: "ready"}`, `{ting: "event", name, data}` and `{ting: "state", state}`. The names are those of
 * Jitsi's API for frames, for which there are ready-made components.
 */

import { asRecord } from "../lib/api";

const MAX_ARGUMENTS = 8;
export const COMMAND_NAME = /^[A-Za-z][A-Za-z0-9-]{0,63}$/;

export interface Command {
  name: string;
  args: readonly unknown[];
}

/** The part of a MessageEvent that says what came, and from where. */
export interface Heard {
  source: unknown;
  origin: string;
  data: unknown;
}

/** Whether a page of `origin` may talk with this one. `allowed` is the server's setting `frame_ancestors`. */
export function isAllowed(origin: string, allowed: readonly string[]): boolean {
  return allowed.some((entry) => {
    const known = new RegExp("^(https?)://(\\*\\.)?([^/*]+)$", "i").exec(entry);
    const asked = new RegExp("^(https?)://([^/]+)$").exec(origin);
    if (known === null || asked === null) return false;
    const [, scheme = "", wild, named = ""] = known;
    const [, askedScheme = "", host = ""] = asked;
    // An origin as the browser gives it has no default port.
    const at = named.toLowerCase().replace(scheme.toLowerCase() === "https" ? /:443$/ : /:80$/, "");
    if (scheme.toLowerCase() !== askedScheme) return false;
    return wild === undefined ? host === at : host.endsWith(`.${at}`);
  });
}

/**
 * The command in a message: null when it is none of ours, `"malformed"` when the right page sent what cannot be read.
 * Whoever else sends is not answered, not even with an error.
 */
export function readCommand(heard: Heard, parent: unknown, origin: string): Command | "malformed" | null {
  if (heard.source !== parent || heard.origin !== origin) return null;
  const raw = asRecord(heard.data);
  if (raw.ting !== "command") return null;
  const { name, args = [] } = raw;
  if (typeof name !== "string" || !COMMAND_NAME.test(name)) return "malformed";
  if (!Array.isArray(args) || args.length > MAX_ARGUMENTS) return "malformed";
  return { name, args };
}
