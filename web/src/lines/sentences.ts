/** What happened on a line, in words. */

import type { Translate } from "../i18n/translate";
import { fromLeft } from "./formats";
import { isSwitch, type Mark } from "./lines";

export function sizeOf(height: number | null): string {
  return height === null ? "" : fromLeft(`${height}p`);
}

function sizesOf(from: number | null, to: number | null): string {
  if (to === null) return "";
  return from === null || from === to ? `(${sizeOf(to)})` : `(${fromLeft(`${from}p → ${to}p`)})`;
}

export function pictureOf(t: Translate<"lines">, source: string, who: string): string {
  if (source === "camera") return t("picture.camera", { who });
  return t(source === "screen_share" ? "picture.screen" : "picture.sound", { who });
}

/** `whose` gives the name to an identity. */
export function sentenceOf(t: Translate<"lines">, mark: Mark, whose: (identity: string) => string): string {
  if (!isSwitch(mark)) return t(`mark.${mark.what}`);
  const picture = pictureOf(t, mark.isScreen ? "screen_share" : "camera", whose(mark.of));
  return t(`mark.${mark.what}.${mark.cause}`, { picture, sizes: sizesOf(mark.fromHeight, mark.height) }).trim();
}
