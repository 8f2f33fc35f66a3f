import "./assetPath";
import { CaptureUpdateAction, Excalidraw, reconcileElements, restoreElements } from "@excalidraw/excalidraw";
import "@excalidraw/excalidraw/index.css";
import type { AppState, ExcalidrawImperativeAPI } from "@excalidraw/excalidraw/types";
import type { Room } from "livekit-client";
import { useCallback, useEffect, useState } from "react";
import { currentLanguage, type Language } from "../i18n";
import type { RoomLive } from "../room/RoomLive";
import type { Board } from "./board";
import { type Cursors, useCursors } from "./useCursors";

interface Props {
  board: Board;
  live: RoomLive;
  room: Room;
  mayDraw: boolean;
  onReady: (api: ExcalidrawImperativeAPI) => void;
  /** How many elements there are to be seen. */
  onCount: (count: number) => void;
}

type Scene = NonNullable<Parameters<typeof restoreElements>[0]>;

/** As Excalidraw names them. */
const LANGUAGES: Record<Language, string> = {
  en: "en",
  "zh-CN": "zh-CN",
  "zh-TW": "zh-TW",
  ja: "ja-JP",
  ko: "ko-KR",
  de: "de-DE",
  es: "es-ES",
  fr: "fr-FR",
  "pt-BR": "pt-BR",
  ar: "ar-SA",
};

// What leads out of the room, or to files that only one would have, is left away; so is what the page has buttons for.
const OPTIONS = {
  canvasActions: { loadScene: false, saveToActiveFile: false, export: false, saveAsImage: false, clearCanvas: false, changeViewBackgroundColor: false, toggleTheme: false },
  tools: { image: false },
} as const;

/** As Excalidraw wants them, with everything in place that others may have left out. */
const shown = (board: Board) => restoreElements(board.all() as unknown as Scene, null);

/** The board's paper, which Excalidraw draws. */
export function Canvas({ board, live, room, mayDraw, onReady, onCount }: Props) {
  const [api, setApi] = useState<ExcalidrawImperativeAPI | null>(null);
  const show = useCallback(
    (collaborators: Cursors) => {
      api?.updateScene({ collaborators });
    },
    [api],
  );
  const cursors = useCursors(room, live, board, show);

  useEffect(() => {
    if (board.lacks) cursors.ask();
  }, [board, cursors]);

  useEffect(() => {
    if (api === null) return;
    return board.subscribe(() => {
      const local = api.getSceneElementsIncludingDeleted();
      const elements = reconcileElements(local, shown(board) as unknown as Parameters<typeof reconcileElements>[1], api.getAppState());
      api.updateScene({ elements, captureUpdate: CaptureUpdateAction.NEVER });
    });
  }, [board, api]);

  return (
    <Excalidraw
      initialData={{ elements: shown(board), scrollToContent: true, appState: { viewBackgroundColor: "#ffffff" } }}
      excalidrawAPI={(given) => {
        setApi(given);
        onReady(given);
      }}
      langCode={LANGUAGES[currentLanguage()]}
      theme="light"
      isCollaborating
      viewModeEnabled={!mayDraw}
      UIOptions={OPTIONS}
      aiEnabled={false}
      validateEmbeddable={false}
      onPaste={({ files, mixedContent }) => files === undefined && mixedContent === undefined}
      onChange={(elements, state) => {
        onCount(elements.filter(({ isDeleted }) => !isDeleted).length);
        if (!mayDraw) return;
        const now = inHand(state);
        board.put(elements.filter(({ id }) => !now.has(id)));
      }}
      onPointerUpdate={({ pointer }) => {
        cursors.send({ x: pointer.x, y: pointer.y });
      }}
    />
  );
}

/** What is being drawn or written at this moment goes out when it is done: each step of it would be a whole new state. */
function inHand({ newElement, editingTextElement, multiElement }: AppState): ReadonlySet<string> {
  return new Set([newElement, editingTextElement, multiElement].flatMap((element) => (element === null ? [] : [element.id])));
}
