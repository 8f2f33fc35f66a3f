import { Track } from "livekit-client";
import {
  Hand,
  type LucideIcon,
  MessageSquare,
  Mic,
  MicOff,
  MonitorUp,
  MonitorX,
  PhoneOff,
  Settings,
  Users,
  Video,
  VideoOff,
} from "lucide-react";
import { useTranslation } from "../i18n/useTranslation";
import type { OwnMedia } from "../hooks/useOwnMedia";
import type { View } from "../hooks/useView";
import { canShareScreen } from "../lib/devices";
import { keyLabel, type Keys, withKey } from "../lib/shortcuts";
import { ReactionPicker } from "../reactions/ReactionPicker";
import type { Reactions } from "../reactions/reactions";

interface Props {
  media: OwnMedia;
  /** Without a connection, what is sent later can be chosen; a screen cannot be shared. */
  away: boolean;
  view: View;
  /** How many stand at the door, for those who may let in. */
  waiting: number;
  /** Whether one wants to speak; null where nobody is asked. */
  hand: { up: boolean; toggle: () => void } | null;
  reacting: { reactions: Reactions; isOpen: boolean; toggle: () => void; close: () => void };
  onSettings: () => void;
  onLeave: () => void;
}

export function Controls({ media, away, view, waiting, hand, reacting, onSettings, onLeave }: Props) {
  const { t } = useTranslation();
  return (
    <div className="controls" role="toolbar" aria-label={t("call.controls")}>
      <OwnControls media={media} away={away} keys={view.keys} hand={hand} reacting={reacting} />
      <PanelControls view={view} waiting={waiting} onSettings={onSettings} />
      <button
        type="button"
        className="round leave"
        data-testid="leave"
        aria-label={t("call.leave")}
        data-tip={t("call.leave")}
        onClick={onLeave}
      >
        <PhoneOff size={22} aria-hidden />
        <span className="leave-text">{t("call.leave")}</span>
      </button>
    </div>
  );
}

function PanelControls({ view, waiting, onSettings }: Pick<Props, "view" | "waiting" | "onSettings">) {
  const { t } = useTranslation();
  const { panel, unread } = view;
  return (
    <div className="control-group">
      <Control
        testId="toggle-chat"
        icon={MessageSquare}
        label={unread > 0 ? t("call.chatUnread", { count: unread }) : t("call.chat")}
        tip={t("call.chat")}
        shortcut={keyLabel(view.keys, "chat")}
        pressed={panel === "chat"}
        look={panel === "chat" ? "on" : ""}
        badge={unread}
        onClick={view.toggleChat}
      />
      <Control
        testId="toggle-people"
        icon={Users}
        label={waiting > 0 ? t("people.waiting", { count: waiting }) : t("people.title")}
        tip={t("people.title")}
        shortcut={keyLabel(view.keys, "people")}
        pressed={panel === "people"}
        look={panel === "people" ? "on" : ""}
        badge={waiting}
        onClick={view.togglePeople}
      />
      <Control testId="open-settings" icon={Settings} label={t("call.settings")} tip={t("call.settings")} onClick={onSettings} />
    </div>
  );
}

function OwnControls({ media, away, hand, keys, reacting }: Pick<Props, "media" | "away" | "hand" | "reacting"> & { keys: Keys | null }) {
  const { t } = useTranslation();
  return (
    <div className="control-group">
      <Control
        testId="toggle-mic"
        icon={media.micOn ? Mic : MicOff}
        label={t("lobby.mic")}
        tip={media.micOn ? t("call.micOn") : t("call.micOff")}
        shortcut={keyLabel(keys, "mic")}
        pressed={media.micOn}
        look={media.micOn ? "" : "off"}
        busy={media.busy.has(Track.Source.Microphone)}
        onClick={media.toggleMic}
      />
      <Control
        testId="toggle-camera"
        icon={media.cameraOn ? Video : VideoOff}
        label={t("lobby.camera")}
        tip={media.cameraOn ? t("call.cameraOn") : t("call.cameraOff")}
        shortcut={keyLabel(keys, "camera")}
        pressed={media.cameraOn}
        look={media.cameraOn ? "" : "off"}
        busy={media.busy.has(Track.Source.Camera)}
        onClick={media.toggleCamera}
      />
      {canShareScreen() && (
        <Control
          testId="toggle-screen"
          icon={media.screenOn ? MonitorX : MonitorUp}
          label={t("call.screenOff")}
          tip={media.screenOn ? t("call.screenOn") : t("call.screenOff")}
          shortcut={keyLabel(keys, "screen")}
          pressed={media.screenOn}
          look={media.screenOn ? "on" : ""}
          busy={media.busy.has(Track.Source.ScreenShare)}
          disabled={away}
          onClick={media.toggleScreen}
        />
      )}
      {hand !== null && (
        <Control
          testId="toggle-hand"
          icon={Hand}
          label={t("hand.raise")}
          tip={hand.up ? t("hand.lower") : t("hand.raise")}
          shortcut={keyLabel(keys, "hand")}
          pressed={hand.up}
          look={hand.up ? "on" : ""}
          onClick={hand.toggle}
        />
      )}
      <ReactionPicker
        reactions={reacting.reactions}
        keys={keys}
        isOpen={reacting.isOpen}
        disabled={away}
        onToggle={reacting.toggle}
        onClose={reacting.close}
      />
    </div>
  );
}

interface ControlProps {
  testId: string;
  icon: LucideIcon;
  label: string;
  tip: string;
  shortcut?: string;
  pressed?: boolean;
  look?: "" | "on" | "off";
  busy?: boolean;
  badge?: number;
  disabled?: boolean;
  onClick: () => void;
}

function Control({ testId, icon: Icon, label, tip, shortcut, pressed, look = "", busy = false, badge = 0, disabled, onClick }: ControlProps) {
  return (
    <button
      type="button"
      className={`round ${look}`}
      data-testid={testId}
      aria-label={label}
      aria-pressed={pressed}
      aria-busy={busy}
      disabled={disabled}
      aria-keyshortcuts={shortcut}
      data-tip={withKey(tip, shortcut)}
      onClick={onClick}
    >
      <Icon size={22} aria-hidden />
      {badge > 0 && (
        <span className="badge" data-testid={`${testId}-badge`} aria-hidden>
          {badge > 99 ? "99+" : badge}
        </span>
      )}
    </button>
  );
}
