/** What the server has written into the page's own head, so that it costs no request. */

import { type ServerConfig, toServerConfig } from "./api";

/** Null where no server of ours made the page: the development server hands out the bare index.html. */
export function readPageConfig(page: ParentNode): ServerConfig | null {
  const content = page.querySelector<HTMLMetaElement>('meta[name="app-config"]')?.content;
  if (content === undefined) return null;
  try {
    return toServerConfig(JSON.parse(content));
  } catch {
    return null;
  }
}
