/** Files that somebody drops or pastes. */

/** The part of DataTransfer that is used. */
interface Given {
  types: readonly string[];
  files: ArrayLike<File>;
}

export function hasFiles({ types }: Pick<Given, "types">): boolean {
  return types.includes("Files");
}

/** Nothing for what is a text too: office programs put a picture of it beside it. */
export function pastedFiles({ types, files }: Given): File[] {
  return types.includes("text/plain") && types.includes("text/html") ? [] : Array.from(files);
}
