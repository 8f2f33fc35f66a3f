import { RoomContext } from "../hooks/roomContext";
import type { ExcalidrawImperativeAPI } from "@excalidraw/excalidraw/types";
import { Download, Eraser, LoaderCircle, X } from "lucide-react";
import { type ReactNode, useContext, useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { reaches } from "../lib/api";
import { saveAs } from "../lib/saveAs";
import { type RoomLive, useRoomState } from "../room/RoomLive";
import { boardOf } from "./boards";
import { Canvas } from "./Canvas";
import { exportBoard } from "./exporting";
import "../styles/board.css";

interface Props {
  live: RoomLive;
  onClose: () => void;
}

/** The whiteboard of a room, over the stage. */
export function Whiteboard({ live, onClose }: Props) {
  const { t } = useTranslation("drawing");
  const room = useContext(RoomContext);
  const { role, policy } = useRoomState(live.log);
  const board = boardOf(live);
  const [state, retry] = useLoaded(live);
  const [api, setApi] = useState<ExcalidrawImperativeAPI | null>(null);
  const [count, setCount] = useState(0);
  const mayDraw = policy.guests_write || role !== "guest";
  const save = async (type: "png" | "svg") => {
    if (api !== null) saveAs(await exportBoard(api, type), `${live.roomName}.${type}`);
  };
  return (
    <section
      className="board"
      data-testid="board"
      data-state={state}
      data-elements={count}
      aria-label={t("board.title")}
      onKeyDown={(event) => {
        // Single keys choose tools here, and are no shortcuts of the call.
        event.stopPropagation();
      }}
    >
      <header>
        <h2>{t("board.title")}</h2>
        <div className="board-actions">
          {reaches(role, "moderator") && (
            <Wipe
              disabled={count === 0}
              onWipe={() => {
                board.wipe();
              }}
            />
          )}
          <Action testId="board-png" label={t("board.png")} disabled={count === 0} onClick={() => void save("png")}>
            <Download size={17} aria-hidden />
            <span>PNG</span>
          </Action>
          <Action testId="board-svg" label={t("board.svg")} disabled={count === 0} onClick={() => void save("svg")}>
            <Download size={17} aria-hidden />
            <span>SVG</span>
          </Action>
          <Action testId="close-board" label={t("board.close")} onClick={onClose}>
            <X size={18} aria-hidden />
          </Action>
        </div>
      </header>
      <div className="board-paper" dir="ltr" data-may-draw={mayDraw}>
        {state === "ready" && room !== null && <Canvas board={board} live={live} room={room} mayDraw={mayDraw} onReady={setApi} onCount={setCount} />}
        {state === "loading" && <LoaderCircle className="spin" size={28} aria-label={t("board.loading")} />}
        {state === "failed" && (
          <div role="alert">
            <p>{t("board.failed")}</p>
            <button type="button" className="button small" onClick={retry}>
              {t("board.again")}
            </button>
          </div>
        )}
      </div>
    </section>
  );
}

/** Reads the board, and says to all that it is open. */
function useLoaded(live: RoomLive): ["loading" | "ready" | "failed", () => void] {
  const [state, setState] = useState<"loading" | "ready" | "failed">("loading");
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let isOver = false;
    const board = boardOf(live);
    board.load().then(
      () => {
        if (isOver) return;
        setState("ready");
        board.tellOpened();
      },
      () => {
        if (!isOver) setState("failed");
      },
    );
    return () => {
      isOver = true;
    };
  }, [live, tries]);
  const retry = () => {
    setState("loading");
    setTries(tries + 1);
  };
  return [state, retry];
}

interface ActionProps {
  testId: string;
  label: string;
  disabled?: boolean;
  onClick: () => void;
  children: ReactNode;
}

function Action({ testId, label, disabled = false, onClick, children }: ActionProps) {
  return (
    <button type="button" className="button quiet small" data-testid={testId} aria-label={label} disabled={disabled} onClick={onClick}>
      {children}
    </button>
  );
}

/** Asked twice: it goes for everybody. */
function Wipe({ disabled, onWipe }: { disabled: boolean; onWipe: () => void }) {
  const { t } = useTranslation("drawing");
  const [asked, setAsked] = useState(false);
  return (
    <button
      type="button"
      className={`button small ${asked ? "danger" : "quiet"}`}
      data-testid="wipe-board"
      disabled={disabled}
      onBlur={() => {
        setAsked(false);
      }}
      onClick={() => {
        if (asked) onWipe();
        setAsked(!asked);
      }}
    >
      <Eraser size={17} aria-hidden />
      <span>{asked ? t("board.wipeSure") : t("clear")}</span>
    </button>
  );
}
