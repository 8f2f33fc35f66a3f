/** In place of the diagrams in Mermaid that Excalidraw could draw: their library is many times as large as the rest. */

export function parseMermaidToExcalidraw(): Promise<never> {
  return Promise.reject(new Error("diagrams in Mermaid are not drawn here"));
}
