/** What Excalidraw (0.18) exports from a package of its own that its types name and its parts lack. */
declare module "@excalidraw/utils/export" {
  interface Picture {
    elements: readonly unknown[];
    appState: object;
    files: null;
    exportPadding?: number;
  }
  export function exportToBlob(
    picture: Picture & { mimeType: string; getDimensions: (width: number, height: number) => { width: number; height: number; scale: number } },
  ): Promise<Blob>;
  export function exportToSvg(picture: Picture & { skipInliningFonts: true }): Promise<SVGSVGElement>;
}
