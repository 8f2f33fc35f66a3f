/** Downloads that begin on this page. */

export function saveAs(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  fetchByLink(url, name);
  // The download has begun by then; the bytes are the browser's.
  setTimeout(() => {
    URL.revokeObjectURL(url);
  }, 60_000);
}

export function fetchByLink(path: string, name: string): void {
  const link = document.createElement("a");
  link.href = path;
  link.download = name;
  link.click();
}
