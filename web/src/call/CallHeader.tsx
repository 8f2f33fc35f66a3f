import { LayoutGrid, Link2, Maximize, Minimize, NotebookText, PenTool, PictureInPicture2, Users } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Brand } from "../components/Brand";
import { canFillScreen, toggleFullScreen, useFullScreen } from "../lib/fullScreen";
import type { Layout } from "../lib/prefs";
import { keyLabel, type Keys, withKey } from "../lib/shortcuts";

interface Props {
  appName: string;
  roomName: string;
  count: number;
  layout: Layout;
  keys: Keys | null;
  onInvite: () => void;
  onToggleLayout: () => void;
  /** Whether the room is sealed; nothing where it is only a call. */
  seal: ReactNode;
  /** The button for the small window over other programs. */
  floating: ReactNode;
  /** What the room is and keeps; null where it is only a call. */
  onRoom: (() => void) | null;
  /** Opens the whiteboard; null where there is none. */
  onBoard: (() => void) | null;
}

export function CallHeader({ appName, roomName, count, layout, keys, onInvite, onToggleLayout, seal, floating, onRoom, onBoard }: Props) {
  const { t } = useTranslation();
  const layoutLabel = layout === "grid" ? t("call.toSidebar") : t("call.toGrid");
  return (
    <header className="call-header">
      <Brand name={appName} link={false} />
      <span className="call-room">
        <h1>
          <bdi>{roomName}</bdi>
        </h1>
        {seal}
        <span className="call-count">
          <Users size={14} aria-hidden />
          {t("call.people", { count })}
        </span>
      </span>
      <div className="call-header-actions">
        <button type="button" className="button small invite" data-testid="copy-invite" aria-label={t("call.invite")} onClick={onInvite}>
          <Link2 size={17} aria-hidden />
          <span>{t("call.inviteShort")}</span>
        </button>
        {onRoom !== null && (
          <button
            type="button"
            className="icon-button boxed"
            data-testid="room-menu"
            aria-label={t("room.menu")}
            data-tip={t("room.menu")}
            data-tip-side="below"
            onClick={onRoom}
          >
            <NotebookText size={18} aria-hidden />
          </button>
        )}
        {onBoard !== null && <BoardButton onOpen={onBoard} />}
        {floating}
        {canFillScreen() && <FullScreenButton shortcut={keyLabel(keys, "fullScreen")} />}
        <button
          type="button"
          className="icon-button boxed"
          data-testid="toggle-layout"
          data-layout={layout}
          aria-label={layoutLabel}
          aria-keyshortcuts={keyLabel(keys, "layout")}
          data-tip={withKey(layoutLabel, keyLabel(keys, "layout"))}
          data-tip-side="below"
          onClick={onToggleLayout}
        >
          {layout === "grid" ? <PictureInPicture2 size={18} aria-hidden /> : <LayoutGrid size={18} aria-hidden />}
        </button>
      </div>
    </header>
  );
}

/** Where there is room for it; the room's dialog has one too. */
function BoardButton({ onOpen }: { onOpen: () => void }) {
  const { t } = useTranslation("drawing");
  return (
    <button
      type="button"
      className="icon-button boxed open-board"
      data-testid="open-board"
      aria-label={t("board.title")}
      data-tip={t("board.title")}
      data-tip-side="below"
      onClick={onOpen}
    >
      <PenTool size={18} aria-hidden />
    </button>
  );
}

function FullScreenButton({ shortcut }: { shortcut: string | undefined }) {
  const { t } = useTranslation();
  const full = useFullScreen();
  const label = full ? t("call.leaveFullScreen") : t("call.fullScreen");
  return (
    <button
      type="button"
      className="icon-button boxed full-screen"
      data-testid="toggle-full-screen"
      aria-label={label}
      aria-keyshortcuts={shortcut}
      data-tip={withKey(label, shortcut)}
      data-tip-side="below"
      onClick={toggleFullScreen}
    >
      {full ? <Minimize size={18} aria-hidden /> : <Maximize size={18} aria-hidden />}
    </button>
  );
}
