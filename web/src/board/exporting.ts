/** The board as a picture, in a file. */

import { exportToBlob, exportToSvg } from "@excalidraw/excalidraw";
import type { ExcalidrawImperativeAPI } from "@excalidraw/excalidraw/types";

export async function exportBoard(api: ExcalidrawImperativeAPI, type: "png" | "svg"): Promise<Blob> {
  const picture = {
    elements: api.getSceneElements(),
    appState: { ...api.getAppState(), exportBackground: true, exportWithDarkMode: false },
    files: null,
    exportPadding: 16,
  };
  if (type === "png") return exportToBlob({ ...picture, mimeType: "image/png", getDimensions: (width, height) => ({ width: width * 2, height: height * 2, scale: 2 }) });
  // Making fonts smaller takes WebAssembly, which the page is not allowed.
  const svg = await exportToSvg({ ...picture, skipInliningFonts: true });
  return new Blob([svg.outerHTML], { type: "image/svg+xml" });
}
