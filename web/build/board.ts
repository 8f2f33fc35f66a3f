import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

/** What Excalidraw does that the server's Content-Security-Policy does not allow, and what it does here instead. */
const OWN_WAYS = [
  // Browsers take a look at every address of a font, and its second one is somebody else's.
  { known: "ASSETS_FALLBACK_URL", theirs: /\w+\.push\(new URL\(\w+,\s*\w+\.ASSETS_FALLBACK_URL\)\)[,;]/, ours: "" },
  // Diagrams from text are left away (below), and with them the one entry of the menu's last part.
  {
    known: "toolBar.mermaidToExcalidraw",
    theirs: /\w+\("div",\{style:\{[^}]*\},children:"Generate"\}\),(.{0,60}?)\w+\(\w+\.Item,\{onSelect:\(\)=>\w+\.setOpenDialog\(\{name:"ttd",tab:"mermaid"\}\),[^{}]*\}\),/,
    ours: "$1",
  },
  // In a picture that is saved, blanks stay by an attribute of SVG's own, not by an inline style.
  { known: "white-space: pre;", theirs: /setAttribute\("style",\s*"white-space: pre;"\)/, ours: 'setAttribute("xml:space","preserve")' },
];

function replaceIn(code: string, { known, theirs, ours }: (typeof OWN_WAYS)[number]): string {
  if (!code.includes(known)) return code;
  if (!theirs.test(code)) throw new Error(`Excalidraw has another way now where there was: ${known}`);
  return code.replace(theirs, ours);
}

/** The whiteboard's fonts, at a place of our own: Excalidraw finds them by their names, below `/excalidraw/fonts/`. */
export function board(): Plugin {
  const fonts = fileURLToPath(new URL("../node_modules/@excalidraw/excalidraw/dist/prod/fonts", import.meta.url));
  return {
    name: "board-fonts",
    transform(code) {
      return OWN_WAYS.some(({ known }) => code.includes(known)) ? { code: OWN_WAYS.reduce(replaceIn, code), map: null } : null;
    },
    generateBundle() {
      for (const name of readdirSync(fonts, { recursive: true, encoding: "utf8" })) {
        if (!name.endsWith(".woff2")) continue;
        this.emitFile({ type: "asset", fileName: `excalidraw/fonts/${name}`, source: readFileSync(`${fonts}/${name}`) });
      }
    },
  };
}

/** Diagrams from text are left away: their library is many times as large as the rest. */
export const noMermaid = [
  { find: "@excalidraw/mermaid-to-excalidraw", replacement: fileURLToPath(new URL("../src/board/noMermaid.ts", import.meta.url)) },
];
