import type { Translate } from "../i18n/translate";

const UNITS = [
  ["room.days", 86_400],
  ["room.hours", 3600],
  ["room.minutes", 60],
] as const;

/** A length of time in the largest unit that it is a whole number of. */
export function durationText(t: Translate, seconds: number): string {
  const [key, length] = UNITS.find(([, unit]) => seconds % unit === 0 && seconds >= unit) ?? (["room.seconds", 1] as const);
  return t(key, { count: seconds / length });
}

/** As a clock shows it: minutes and seconds, with hours where there are some. */
export function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? [hours, ...parts].join(":") : parts.join(":").replace(/^0/, "");
}
