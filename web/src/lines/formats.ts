/** Numbers of lines as people read them: a number and its unit run from left to right in every language. */

export interface Formats {
  rate: (bps: number) => string;
  percent: (share: number) => string;
  delay: (ms: number) => string;
  time: (atMs: number) => string;
  day: (atMs: number) => string;
}

/** Unicode's left-to-right isolate, and its end (UAX #9). */
export const fromLeft = (text: string): string => `\u2066${text}\u2069`;

export function formats(language: string): Formats {
  const round = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  const fine = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  const time = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit", second: "2-digit" });
  const day = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  return {
    rate: (bps) => fromLeft(bps >= 1_000_000 ? `${fine.format(bps / 1_000_000)} Mbit/s` : `${round.format(bps / 1000)} kbit/s`),
    percent: (value) => fromLeft(share.format(value)),
    delay: (ms) => fromLeft(`${round.format(ms)} ms`),
    time: (atMs) => time.format(atMs),
    day: (atMs) => day.format(atMs),
  };
}
