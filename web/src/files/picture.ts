/** Pictures that are shown in the chat: which they are, and how large. */

export const MAX_PICTURE_BYTES = 10 * 1024 * 1024;
/** Nothing that a browser would run: no SVG. */
const PICTURE_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"] as const;
type PictureType = (typeof PICTURE_TYPES)[number];

/** As many bytes of the beginning tell what a file is. */
const MAGIC_BYTES = 16;

export interface Size {
  width: number;
  height: number;
}

const BOX: Size = { width: 260, height: 240 };
/** Of a picture of which nobody said how large it is. */
const UNKNOWN: Size = { width: 240, height: 160 };
const LEAST = 40;
const MAX_SIDE = 100_000;

/** By the bytes, whatever anybody says of them; null: it is not shown. */
export function pictureType(bytes: Uint8Array): PictureType | null {
  const at = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (at(0, 8) === "\x89PNG\r\n\x1a\n") return "image/png";
  if (at(0, 3) === "\xff\xd8\xff") return "image/jpeg";
  if (at(0, 6) === "GIF87a" || at(0, 6) === "GIF89a") return "image/gif";
  if (at(0, 4) === "RIFF" && at(8, 12) === "WEBP") return "image/webp";
  if (at(4, 8) === "ftyp" && (at(8, 12) === "avif" || at(8, 12) === "avis")) return "image/avif";
  return null;
}

/** Whether it is worth fetching to be shown. */
export function mayBePicture(type: string, sizeBytes: number): boolean {
  return PICTURE_TYPES.some((known) => known === type) && sizeBytes > 0 && sizeBytes <= MAX_PICTURE_BYTES;
}

/** The place that a picture gets in the chat, before it is there. */
export function placeFor(width: unknown, height: unknown): Size {
  if (!isSide(width) || !isSide(height)) return UNKNOWN;
  const scale = Math.min(1, BOX.width / width, BOX.height / height);
  return { width: Math.max(LEAST, Math.round(width * scale)), height: Math.max(LEAST, Math.round(height * scale)) };
}

function isSide(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= MAX_SIDE;
}

/** Of a file that is about to be sent; null where it is no picture, or one that this browser cannot read. */
export async function measure(file: Blob): Promise<Size | null> {
  if (file.size > MAX_PICTURE_BYTES) return null;
  try {
    if (pictureType(new Uint8Array(await file.slice(0, MAGIC_BYTES).arrayBuffer())) === null) return null;
    const bitmap = await createImageBitmap(file);
    const { width, height } = bitmap;
    bitmap.close();
    return { width, height };
  } catch {
    return null;
  }
}
