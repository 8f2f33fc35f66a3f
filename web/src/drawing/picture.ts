/** Where the picture of a shared screen is within its box: drawings belong to the picture, whatever the window's size. */

import { SCALE } from "./sheet";

export interface Size {
  width: number;
  height: number;
}

export interface Box extends Size {
  x: number;
  y: number;
}

/** The picture, whole and in the middle (`object-fit: contain`); null while one of the two has no size. */
export function pictureBox(outer: Size, picture: Size): Box | null {
  const scale = Math.min(outer.width / picture.width, outer.height / picture.height);
  if (!(scale > 0) || !Number.isFinite(scale)) return null;
  const [width, height] = [picture.width * scale, picture.height * scale];
  return { x: (outer.width - width) / 2, y: (outer.height - height) / 2, width, height };
}

const within = (value: number): number => Math.min(SCALE, Math.max(0, Math.round(value * SCALE)));

/** A place in the window as a point of the picture that `box` shows there; beside the picture its nearest point. */
export function toPoint(x: number, y: number, box: Box): [number, number] {
  return [within((x - box.x) / box.width), within((y - box.y) / box.height)];
}
