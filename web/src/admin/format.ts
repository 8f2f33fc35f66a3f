const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

/** A number of bytes as people of `language` read it, in steps of 1000. */
export function bytesText(bytes: number, language: string): string {
  let value = bytes;
  let at = 0;
  // What would be written as 1000 belongs to the next unit.
  while (value >= 999.5 && at < UNITS.length - 1) {
    value /= 1000;
    at += 1;
  }
  const format = { style: "unit", unit: UNITS[at], maximumFractionDigits: value < 10 && at > 0 ? 1 : 0 } as const;
  return new Intl.NumberFormat(language, format).format(value);
}

/** What an admin's act was about, in one line of `name value` pairs. */
export function detailsText(details: Record<string, unknown>): string {
  return Object.entries(details)
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}
