/** What happened in a room besides what people wrote, in words. */

import { type Translate, translator } from "../i18n/translate";
import { ENTRY_MODES, roleOf, text } from "../lib/api";
import type { Body, Entry } from "../log/entries";

const ACTS = [
  "mute_all", "ask_unmute", "lower_hands", "kick", "ban", "unban", "end_call", "admit", "deny", "create", "invite", "uninvite",
  "import", "add_bot", "remove_bot", "add_hook", "remove_hook",
] as const;

/** `name` is how whoever did it is called here. */
export function sentenceOf(t: Translate, entry: Entry, name: string): string {
  const body = entry.body ?? {};
  switch (entry.verb) {
    case "call_began":
      return t("event.call_began");
    case "call_ended":
      return t("event.call_ended");
    case "came":
      return t("event.came", { name });
    case "left":
      return t("event.left", { name });
    case "policy":
      return policySentence(t, body, name);
    default:
      return actSentence(t, body, name);
  }
}

function actSentence(t: Translate, body: Body, name: string): string {
  const who = text(body.who_name) || text(body.who);
  if (body.act === "role") return t("event.role", { name, who, role: t(`role.${roleOf(body.role)}`) });
  if (body.act === "mute") return t(`event.stop.${sourceOf(body.source)}`, { name, who });
  const hosts = translator("hosts");
  if (body.act === "spotlight") return hosts(`event.spotlight.${body.source === "screen" ? "screen" : "camera"}`, { name, who });
  if (body.act === "open_breakouts") return hosts("event.open_breakouts", { name });
  if (body.act === "close_breakouts") return hosts("event.close_breakouts");
  if (body.act === "end_spotlight") return hosts("event.end_spotlight", { name });
  const act = ACTS.find((known) => known === body.act);
  return act === undefined ? t("event.other", { name }) : t(`event.${act}`, { name, who });
}

function sourceOf(source: unknown): "microphone" | "camera" | "screen" {
  return source === "camera" || source === "screen" ? source : "microphone";
}

function policySentence(t: Translate, body: Body, name: string): string {
  const parts: string[] = [];
  if (typeof body.title === "string") parts.push(t("event.policy.title", { title: body.title }));
  if (typeof body.locked === "boolean") parts.push(t(body.locked ? "event.policy.locked" : "event.policy.unlocked"));
  const mode = ENTRY_MODES.find((known) => known === body.entry);
  if (mode !== undefined) parts.push(t(`event.policy.entry.${mode}`));
  if (typeof body.password === "boolean") parts.push(t(body.password ? "event.policy.password" : "event.policy.noPassword"));
  if ("retention_s" in body || "retention_from" in body || "keeps" in body) parts.push(t("event.policy.retention"));
  if (typeof body.hold === "boolean") parts.push(t(body.hold ? "event.policy.hold" : "event.policy.noHold"));
  if (body.kind === "open") parts.push(t("event.policy.opened"));
  if (parts.length === 0) parts.push(t("event.policy.other"));
  return t("event.policy.by", { name, what: parts.join(" ") });
}
