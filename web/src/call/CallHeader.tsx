import { LayoutGrid, Link2, type LucideIcon, Maximize, Minimize, NotebookText, PenTool, PictureInPicture2, Users } from "lucide-react";
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
        <button type="button" className="button small invite" data-testid="copy-invite" data-tip={t("call.invite")} data-tip-side="below" onClick={onInvite}>
          <Link2 size={17} aria-hidden />
          <span>{t("call.inviteShort")}</span>
        </button>
        {onRoom !== null && <HeaderButton testId="room-menu" icon={NotebookText} label={t("room.menu")} onClick={onRoom} />}
        {onBoard !== null && <BoardButton onOpen={onBoard} />}
        {floating}
        {canFillScreen() && <FullScreenButton shortcut={keyLabel(keys, "fullScreen")} />}
        <HeaderButton
          testId="toggle-layout"
          icon={layout === "grid" ? PictureInPicture2 : LayoutGrid}
          label={layout === "grid" ? t("call.toSidebar") : t("call.toGrid")}
          shortcut={keyLabel(keys, "layout")}
          onClick={onToggleLayout}
        />
      </div>
    </header>
  );
}

interface HeaderButtonProps {
  testId: string;
  icon: LucideIcon;
  label: string;
  shortcut?: string;
  className?: string;
  onClick: () => void;
}

function HeaderButton({ testId, icon: Icon, label, shortcut, className = "", onClick }: HeaderButtonProps) {
  return (
    <button
      type="button"
      className={`icon-button boxed ${className}`}
      data-testid={testId}
      aria-label={label}
      aria-keyshortcuts={shortcut}
      data-tip={withKey(label, shortcut)}
      data-tip-side="below"
      onClick={onClick}
    >
      <Icon size={18} aria-hidden />
    </button>
  );
}

/** Where there is room for it; the room's dialog has one too. */
function BoardButton({ onOpen }: { onOpen: () => void }) {
  const { t } = useTranslation("drawing");
  return <HeaderButton testId="open-board" className="open-board" icon={PenTool} label={t("board.title")} onClick={onOpen} />;
}

function FullScreenButton({ shortcut }: { shortcut: string | undefined }) {
  const { t } = useTranslation();
  const full = useFullScreen();
  const label = full ? t("call.leaveFullScreen") : t("call.fullScreen");
  return (
    <HeaderButton testId="toggle-full-screen" className="full-screen" icon={full ? Minimize : Maximize} label={label} shortcut={shortcut} onClick={toggleFullScreen} />
  );
}
