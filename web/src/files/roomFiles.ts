/** Files that are in a room. Every function throws `ApiError`. */

import { ApiError, type Ask, request, roomUrl, text, toApiError } from "../lib/api";
import { MAX_PICTURE_BYTES } from "./picture";

export class RoomFiles {
  constructor(
    private readonly room: string,
    private readonly token: (fresh: boolean) => Promise<string>,
  ) {}

  /** A path that fetches the file without a token, for minutes. */
  async link(file: string): Promise<string> {
    return text((await this.ask(file, "/links", { method: "POST" })).path);
  }

  async remove(file: string): Promise<void> {
    await this.ask(file, "", { method: "DELETE" });
  }

  /** The bytes of a picture, to be shown. */
  async picture(file: string, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.fetch(file, signal);
    if (Number(response.headers.get("Content-Length")) > MAX_PICTURE_BYTES) throw new ApiError("file_too_large", "not shown");
    return new Uint8Array(await response.arrayBuffer());
  }

  /** The bytes of any file, as they come. */
  async stream(file: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    return (await this.fetch(file, signal)).body ?? new Blob([]).stream();
  }

  private fetch(file: string, signal: AbortSignal): Promise<Response> {
    return this.withToken(async (token) => {
      const headers = { Authorization: `Bearer ${token}` };
      let response: Response;
      try {
        response = await fetch(pathOf(this.room, file), { headers, credentials: "omit", signal });
      } catch {
        throw new ApiError("unreachable", "no answer from the server");
      }
      if (!response.ok) throw toApiError(response.status, await response.json().catch(() => null));
      return response;
    });
  }

  private ask(file: string, rest: string, ask: Ask) {
    return this.withToken((token) => request(pathOf(this.room, file, rest), { ...ask, token }));
  }

  /** The token of the page may have run out. */
  private async withToken<Answer>(act: (token: string) => Promise<Answer>): Promise<Answer> {
    try {
      return await act(await this.token(false));
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "unauthorized") throw error;
      return act(await this.token(true));
    }
  }
}

const pathOf = (room: string, file: string, rest = "") => roomUrl(room, `/files/${encodeURIComponent(file)}${rest}`);
