/** What the page that shows this one in a frame wants from the beginning: it is in the address of the frame. */

export interface Wishes {
  /** The origin of that page, as it says itself; it is compared with what the server allows. */
  parent: string;
  /** Empty: as the browser remembers it. */
  name: string;
  /** Null: as the browser remembers it. */
  micOn: boolean | null;
  cameraOn: boolean | null;
  /** Whether the device check comes first. */
  prejoin: boolean;
}

const MAX_NAME = 64;
const flag = (value: string | null): boolean | null => (value === null ? null : value !== "0");

/** Null: the page is alone, or whoever shows it does not want to talk. What is about a person is behind `#`. */
export function readWishes(search: string, hash: string): Wishes | null {
  const query = new URLSearchParams(search);
  const parent = query.get("embed");
  if (parent === null || parent === "") return null;
  const person = new URLSearchParams(hash.replace(/^#/, ""));
  return {
    parent,
    name: (person.get("name") ?? "").trim().slice(0, MAX_NAME),
    micOn: flag(person.get("mic")),
    cameraOn: flag(person.get("camera")),
    prejoin: flag(query.get("prejoin")) !== false,
  };
}
