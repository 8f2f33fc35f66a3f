/** Where Excalidraw's fonts are: here. To be imported before it. */

declare global {
  interface Window {
    EXCALIDRAW_ASSET_PATH?: string;
  }
}

window.EXCALIDRAW_ASSET_PATH = "/excalidraw/";

export {};
