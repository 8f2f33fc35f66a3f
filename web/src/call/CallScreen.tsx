import { RoomAudioRenderer } from "@livekit/components-react";
import type { Track } from "livekit-client";
import { lazy, Suspense, useCallback, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useChat } from "../hooks/useChat";
import { useComingsAndGoings } from "../hooks/useComingsAndGoings";
import { useMicHint } from "../hooks/useMicHint";
import { useOwnMedia } from "../hooks/useOwnMedia";
import { usePresent } from "../hooks/usePresent";
import { useScreens } from "../hooks/useScreens";
import { useShortcuts } from "../hooks/useShortcuts";
import { useToasts } from "../hooks/useToasts";
import { useView } from "../hooks/useView";
import { useWakeLock } from "../hooks/useWakeLock";
import { copyText } from "../lib/copy";
import type { DeviceProblem } from "../lib/devices";
import { roomPath } from "../lib/rooms";
import type { InCall, Session } from "../lib/session";
import { displayName } from "../lib/people";
import type { Visit } from "../lib/visit";
import { memberOf, useMaybeRoomState, useRoomLive } from "../room/RoomLive";
import { Away } from "./Away";
import { Banners } from "./Banners";
import { CallHeader } from "./CallHeader";
import { ChatPanel } from "./ChatPanel";
import { Controls } from "./Controls";
import { Panel } from "./Panel";
import { PeoplePanel } from "./PeoplePanel";
import { SettingsDialog } from "./SettingsDialog";
import { Stage } from "./Stage";
import { problemText, Toasts } from "./Toasts";

const RoomChat = lazy(async () => ({ default: (await import("../chat/RoomChat")).RoomChat }));

interface Props {
  call: InCall;
  visit: Visit;
  roomName: string;
  appName: string;
  session: Session;
}

export function CallScreen(props: Props) {
  const { call, visit, session, roomName, appName } = props;
  const { room, away } = call;
  const { t } = useTranslation();
  const screen = useScreen(props);
  const { view, media, participants, chat, invite, live } = screen;
  const { layout, panel } = view;
  return (
    <div className="call" data-testid="call" data-theme="dark" data-layout={layout} data-away={away ?? undefined}>
      <CallHeader
        appName={appName}
        roomName={screen.title}
        count={participants.length}
        layout={layout}
        shortcuts={view.shortcuts}
        onInvite={invite}
        onToggleLayout={view.toggleLayout}
      />
      <Banners
        room={room}
        silent={call.silent}
        micHint={away === null ? screen.micHint : null}
        shortcuts={view.shortcuts}
        onHear={session.hear}
        onUnmute={media.toggleMic}
        onSettings={screen.openSettings}
      />
      <div className="call-main">
        <main className="call-stage" aria-label={t("call.stage", { room: roomName })}>
          <Stage
            room={room}
            participants={participants}
            screens={screen.screens}
            sharing={media.screenOn}
            layout={layout}
            onInvite={invite}
            onStopSharing={media.toggleScreen}
          />
          {away !== null && <Away reason={away} shared={screen.shared} onTryNow={session.tryNow} />}
        </main>
        {panel === "chat" && live === null && <ChatPanel chat={chat} visit={visit} onClose={view.closePanel} />}
        {panel === "chat" && live !== null && (
          <Panel name="chat" title={t("chat.title")} onClose={view.closePanel}>
            <Suspense fallback={<div className="messages" aria-busy="true" />}>
              <RoomChat live={live} visit={visit} present={screen.present} />
            </Suspense>
          </Panel>
        )}
        {panel === "people" && <PeoplePanel participants={participants} onInvite={invite} onClose={view.closePanel} />}
      </div>
      <Controls media={media} away={away !== null} view={view} onSettings={screen.openSettings} onLeave={session.leave} />
      {screen.settingsOpen && (
        <SettingsDialog room={room} visit={visit} onClose={screen.closeSettings} onProblem={screen.tellProblem} />
      )}
      <Toasts toasts={screen.toasts} dismiss={screen.dismiss} problems={call.problems} />
      <RoomAudioRenderer room={room} muted={call.silent} />
    </div>
  );
}

/** Everything that the parts of the call screen share. */
function useScreen({ call, visit, roomName }: Props) {
  const { room, pending, away } = call;
  const { t } = useTranslation();
  const [settingsOpen, setSettingsOpen] = useState(false);
  const { toasts, show, dismiss } = useToasts();
  const participants = usePresent(room);
  const live = useRoomLive();
  const logState = useMaybeRoomState(live);
  const chat = useChat(room, live !== null);
  const screens = useScreens(room);
  const called = useView(visit, chat.received, screens.length > 0);
  const view = logState === null ? called : { ...called, unread: called.panel === "chat" ? 0 : logState.unread };
  const present = useMemo(
    () => new Map(participants.map((participant) => [memberOf(participant.identity), displayName(participant)])),
    [participants],
  );
  const title = logState === null || logState.title === "" ? roomName : logState.title;

  const tellProblem = useCallback(
    (source: Track.Source, problem: DeviceProblem) => {
      show(problemText(t, source, problem), "problem");
    },
    [show, t],
  );
  const media = useOwnMedia(room, visit, pending, tellProblem);
  const micHint = useMicHint(room, media.micOn);
  const [shared, setShared] = useState(false);
  if (away === null && shared !== media.screenOn) setShared(media.screenOn);
  useComingsAndGoings(room, show);
  useWakeLock();
  useShortcuts(view.shortcuts, {
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
  const openSettings = () => {
    setSettingsOpen(true);
  };
  const closeSettings = () => {
    setSettingsOpen(false);
  };
  return { live, present, title, view, media, micHint, participants, screens, chat, invite, shared, toasts, dismiss, tellProblem, settingsOpen, openSettings, closeSettings };
}
