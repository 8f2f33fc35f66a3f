import type { TFunction } from "i18next";

const UNITS = [
  ["room.days", 86_400],
  ["room.hours", 3600],
  ["room.minutes", 60],
] as const;

/** A length of time in the largest unit that it is a whole number of. */
export function durationText(t: TFunction, seconds: number): string {
  const [key, length] = UNITS.find(([, unit]) => seconds % unit === 0 && seconds >= unit) ?? (["room.seconds", 1] as const);
  return t(key, { count: seconds / length });
}
