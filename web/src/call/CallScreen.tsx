import { RoomAudioRenderer, useConnectionState, useParticipants } from "@livekit/components-react";
import { ConnectionState, type RemoteParticipant, type Room, RoomEvent, Track } from "livekit-client";
import { LoaderCircle, Volume2, X } from "lucide-react";
import { useCallback, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useChat } from "../hooks/useChat";
import { useOwnMedia } from "../hooks/useOwnMedia";
import { type Toast, useToasts } from "../hooks/useToasts";
import { useWakeLock } from "../hooks/useWakeLock";
import { copyText } from "../lib/copy";
import type { DeviceProblem, OwnDeviceProblem } from "../lib/devices";
import { displayName } from "../lib/people";
import { type Layout, loadPrefs, savePrefs } from "../lib/prefs";
import { roomPath } from "../lib/rooms";
import { type Shortcut, shortcutOf } from "../lib/shortcuts";
import { CallHeader } from "./CallHeader";
import { ChatPanel } from "./ChatPanel";
import { Controls } from "./Controls";
import type { PanelName } from "./Panel";
import { PeoplePanel } from "./PeoplePanel";
import { SettingsDialog } from "./SettingsDialog";
import { Stage } from "./Stage";

interface Props {
  room: Room;
  roomName: string;
  appName: string;
  problems: readonly OwnDeviceProblem[];
  onLeave: () => void;
}

export function CallScreen({ room, roomName, appName, problems, onLeave }: Props) {
  const { t } = useTranslation();
  const [settingsOpen, setSettingsOpen] = useState(false);
  const { toasts, show, dismiss } = useToasts();
  const participants = useParticipants({ room });
  const chat = useChat(room);
  const view = useView(chat.received);

  const tellProblem = useCallback(
    (source: Track.Source, problem: DeviceProblem) => {
      show(problemText(t, source, problem), "problem");
    },
    [show, t],
  );
  const media = useOwnMedia(room, tellProblem);
  useComingsAndGoings(room, show);
  useWakeLock();
  useShortcuts({
    mic: media.toggleMic,
    camera: media.toggleCamera,
    screen: media.toggleScreen,
    chat: view.toggleChat,
    people: view.togglePeople,
    layout: view.toggleLayout,
  });

  const invite = () => {
    const link = window.location.origin + roomPath(roomName);
    void copyText(link).then((copied) => {
      show(copied ? t("call.copied") : t("call.copyFailed", { link }));
    });
  };
  const closeSettings = () => {
    setSettingsOpen(false);
  };

  return (
    <div className="call" data-testid="call" data-theme="dark" data-layout={view.layout}>
      <CallHeader
        appName={appName}
        roomName={roomName}
        count={participants.length}
        layout={view.layout}
        onInvite={invite}
        onToggleLayout={view.toggleLayout}
      />
      <Banners room={room} />
      <div className="call-main">
        <main className="call-stage" aria-label={t("call.stage", { room: roomName })}>
          <Stage
            room={room}
            participants={participants}
            layout={view.layout}
            onInvite={invite}
            onStopSharing={media.toggleScreen}
          />
        </main>
        {view.panel === "chat" && <ChatPanel chat={chat} onClose={view.closePanel} />}
        {view.panel === "people" && (
          <PeoplePanel participants={participants} onInvite={invite} onClose={view.closePanel} />
        )}
      </div>
      <Controls
        media={media}
        panel={view.panel}
        unread={view.unread}
        onToggleChat={view.toggleChat}
        onTogglePeople={view.togglePeople}
        onSettings={() => {
          setSettingsOpen(true);
        }}
        onLeave={onLeave}
      />
      {settingsOpen && <SettingsDialog room={room} onClose={closeSettings} onProblem={tellProblem} />}
      <Toasts toasts={toasts} dismiss={dismiss} problems={problems} />
      <RoomAudioRenderer room={room} />
    </div>
  );
}

/** What is open and how the pictures are laid out. `received` counts the chat messages that have arrived. */
function useView(received: number) {
  const [panel, setPanel] = useState<PanelName | null>(null);
  const [layout, setLayout] = useState<Layout>(() => loadPrefs().layout);
  const [seen, setSeen] = useState(0);

  // Messages that arrive while the chat is open are seen at once.
  if (panel === "chat" && seen !== received) setSeen(received);

  const toggle = (name: PanelName) => () => {
    setPanel((old) => (old === name ? null : name));
  };
  const closePanel = useCallback(() => {
    setPanel(null);
  }, []);
  const toggleLayout = () => {
    const next = layout === "grid" ? "speaker" : "grid";
    setLayout(next);
    savePrefs({ layout: next });
  };
  return {
    panel,
    layout,
    unread: received - seen,
    toggleChat: toggle("chat"),
    togglePeople: toggle("people"),
    closePanel,
    toggleLayout,
  };
}

type Translate = ReturnType<typeof useTranslation>["t"];

function problemText(t: Translate, source: Track.Source, problem: DeviceProblem): string {
  if (source === Track.Source.ScreenShare) {
    return t(problem === "denied" ? "deviceProblem.screen.denied" : "deviceProblem.screen.unknown");
  }
  return t(`deviceProblem.${source === Track.Source.Camera ? "camera" : "mic"}.${problem}`);
}

function useComingsAndGoings(room: Room, show: (text: string) => void): void {
  const { t } = useTranslation();
  useEffect(() => {
    const came = (participant: RemoteParticipant) => {
      show(t("call.joined", { name: displayName(participant) }));
    };
    const went = (participant: RemoteParticipant) => {
      show(t("call.left", { name: displayName(participant) }));
    };
    const back = () => {
      show(t("call.reconnected"));
    };
    room.on(RoomEvent.ParticipantConnected, came);
    room.on(RoomEvent.ParticipantDisconnected, went);
    room.on(RoomEvent.Reconnected, back);
    return () => {
      room.off(RoomEvent.ParticipantConnected, came);
      room.off(RoomEvent.ParticipantDisconnected, went);
      room.off(RoomEvent.Reconnected, back);
    };
  }, [room, show, t]);
}

function useShortcuts(actions: Record<Shortcut, () => void>): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target;
      const typing =
        target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog") !== null;
      const shortcut = shortcutOf(event, typing);
      if (shortcut === null) return;
      event.preventDefault();
      actions[shortcut]();
    };
    window.addEventListener("keydown", onKey);
    return () => {
      window.removeEventListener("keydown", onKey);
    };
  });
}

function Banners({ room }: { room: Room }) {
  const { t } = useTranslation();
  const state = useConnectionState(room);
  const soundHeld = useSoundHeld(room);
  const reconnecting = state === ConnectionState.Reconnecting || state === ConnectionState.SignalReconnecting;
  return (
    <div className="banners" role="status">
      {reconnecting && (
        <p className="banner warn" data-testid="banner-reconnecting">
          <LoaderCircle size={18} className="spin" aria-hidden />
          {t("call.reconnecting")}
        </p>
      )}
      {soundHeld && (
        <button type="button" className="banner" data-testid="enable-sound" onClick={() => void room.startAudio()}>
          <Volume2 size={18} aria-hidden />
          {t("call.enableSound")}
        </button>
      )}
    </div>
  );
}

/** Whether the browser waits for a click before it plays sound. */
function useSoundHeld(room: Room): boolean {
  const [held, setHeld] = useState(!room.canPlaybackAudio);
  useEffect(() => {
    const update = () => {
      setHeld(!room.canPlaybackAudio);
    };
    room.on(RoomEvent.AudioPlaybackStatusChanged, update);
    return () => {
      room.off(RoomEvent.AudioPlaybackStatusChanged, update);
    };
  }, [room]);
  return held;
}

interface ToastsProps {
  toasts: readonly Toast[];
  dismiss: (id: number) => void;
  problems: readonly OwnDeviceProblem[];
}

function Toasts({ toasts, dismiss, problems }: ToastsProps) {
  const { t } = useTranslation();
  const [hidden, setHidden] = useState<ReadonlySet<OwnDeviceProblem>>(new Set());
  return (
    <div className="toasts" role="status">
      {problems
        .filter((entry) => !hidden.has(entry))
        .map((entry) => (
          <ToastLine
            key={entry.source}
            kind="problem"
            text={problemText(t, entry.source, entry.problem)}
            onClose={() => {
              setHidden(new Set([...hidden, entry]));
            }}
          />
        ))}
      {toasts.map((toast) => (
        <ToastLine
          key={toast.id}
          kind={toast.kind}
          text={toast.text}
          onClose={() => {
            dismiss(toast.id);
          }}
        />
      ))}
    </div>
  );
}

function ToastLine({ kind, text, onClose }: { kind: Toast["kind"]; text: string; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <div className={`toast ${kind}`} data-testid={kind === "problem" ? "device-error" : "toast"}>
      <span dir="auto">{text}</span>
      {kind === "problem" && (
        <button type="button" className="icon-button" aria-label={t("call.close")} onClick={onClose}>
          <X size={16} aria-hidden />
        </button>
      )}
    </div>
  );
}
