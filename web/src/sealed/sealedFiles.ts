/** Files of a sealed room: encrypted before they are sent, opened after they have come. */

import type { Send } from "../files/queue";
import type { RoomFiles } from "../files/roomFiles";
import { tusSend } from "../files/tus";
import { text } from "../lib/api";
import type { Body } from "../log/entries";
import { newFileKey, openFile, SealedFile, storedSize } from "./fileSeal";

export { SealBroken } from "./fileSeal";

export class SealedFiles {
  /** The same one for every try: what has come already stays good. */
  private readonly keys = new WeakMap<File, string>();
  private readonly sent = new Map<string, Body>();
  readonly send: Send;

  constructor(room: string, token: (fresh: boolean) => Promise<string>) {
    const tus = tusSend(room, token, (file) => new SealedFile(file, this.keyOf(file)));
    this.send = (file, url, onSent) => {
      const share = file.size / Math.max(1, storedSize(file.size));
      const sending = tus(file, url, (bytes) => {
        onSent(Math.min(file.size, Math.round(bytes * share)));
      });
      const done = sending.done.then((fileId) => {
        this.sent.set(fileId, { key: this.keyOf(file), stored_size: storedSize(file.size) });
        return fileId;
      });
      return { ...sending, done };
    };
  }

  /** What the message says, for those who are to open the file. */
  readonly describe = (fileId: string): Body => this.sent.get(fileId) ?? {};

  readonly keyOf = (file: File): string => {
    const key = this.keys.get(file) ?? newFileKey();
    this.keys.set(file, key);
    return key;
  };

  /** The key of an upload that goes on. `file` must have the same bytes: no two may be sealed with one key. */
  readonly useKey = (file: File, key: string): void => {
    this.keys.set(file, key);
  };
}

/** Throws `ApiError`, or `SealBroken` when what came is not what was sealed. */
export async function openSealedFile(
  files: RoomFiles,
  body: Body,
  signal: AbortSignal,
  onBytes?: (bytes: number) => void,
): Promise<Blob> {
  const stream = await files.stream(text(body.file_id), signal);
  const size = typeof body.size === "number" ? body.size : 0;
  return openFile(stream, { key: text(body.key), size }, text(body.type), onBytes);
}
