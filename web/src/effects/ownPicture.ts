/** The picture of one's own behind oneself: kept in this browser, and only there. */

import { ask } from "../lib/indexedDb";

const DATABASE = { name: "ting.background", stores: { pictures: {} } };
const KEY = "own";
/** As large as a camera's picture is at most. */
const MAX_SIDE = 1920;
const QUALITY = 0.85;

const listeners = new Set<() => void>();
/** Of the picture that is in use; null until it has been looked for, or where there is none. */
let address: string | null = null;

export function ownPictureAddress(): string | null {
  return address;
}

export function onOwnPicture(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Its address in this page, if there is one. A browser that keeps nothing has none. */
export async function loadOwnPicture(): Promise<string | null> {
  if (address !== null) return address;
  const kept: unknown = await ask(DATABASE, "pictures", "readonly", (store) => store.get(KEY)).catch(() => null);
  if (kept instanceof Blob) use(kept);
  return address;
}

/** Takes a file of any format that the browser can show; what else the file says (place, camera) is left out. */
export async function chooseOwnPicture(file: Blob): Promise<void> {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, MAX_SIDE / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale));
  canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  // Without a place to keep it, it is there as long as the page is.
  await ask(DATABASE, "pictures", "readwrite", (store) => store.put(blob, KEY)).catch(() => undefined);
  use(blob);
}

function use(picture: Blob): void {
  if (address !== null) URL.revokeObjectURL(address);
  address = URL.createObjectURL(picture);
  for (const listener of listeners) listener();
}
