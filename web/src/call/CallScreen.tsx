import { type Room, Track } from "livekit-client";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { useChat } from "../hooks/useChat";
import type { Embedding } from "../embed/embedding";
import { useBoard } from "../board/useBoard";
import { useBreakoutNews } from "../hooks/useBreakouts";
import { useComingsAndGoings } from "../hooks/useComingsAndGoings";
import { useEmbeddedCall } from "../hooks/useEmbedding";
import { useMicHint } from "../hooks/useMicHint";
import { useOwnMedia } from "../hooks/useOwnMedia";
import { usePresent } from "../hooks/usePresent";
import { useScreens } from "../hooks/useScreens";
import { useShortcuts } from "../hooks/useShortcuts";
import { useTalkKey } from "../hooks/useTalkKey";
import { useToasts } from "../hooks/useToasts";
import { useView } from "../hooks/useView";
import { useWakeLock } from "../hooks/useWakeLock";
import { reaches } from "../lib/api";
import { AudioOnly } from "../lib/audioOnly";
import { copyText } from "../lib/copy";
import type { DeviceProblem } from "../lib/devices";
import { toggleFullScreen } from "../lib/fullScreen";
import { stayInVersion } from "../lib/installed";
import type { InCall, Session } from "../lib/session";
import { displayName } from "../lib/people";
import type { Item } from "../lib/stage";
import type { Visit } from "../lib/visit";
import { memberOf, type RoomLive, useMaybeRoomState, useRoomLive, useRoomNews } from "../room/RoomLive";
import type { Entry } from "../log/entries";
import type { RoomSnapshot } from "../log/roomState";
import { later, laterDialog } from "../components/later";
import { Away } from "./Away";
import { Banners } from "./Banners";
import { roomLink } from "../lib/keys";
import { ReactionLines } from "../reactions/ReactionLines";
import { ReactionsContext, useReactions } from "../reactions/useReactions";
import { SealStatus } from "../room/SealStatus";
import { CallHeader } from "./CallHeader";
import { CaptionLines } from "./CaptionLines";
import { Controls } from "./Controls";
import { OwnEffects } from "./OwnEffects";
import { FloatingCall } from "./FloatingCall";
import { Panel } from "./Panel";
import { Stage } from "./Stage";
import { problemText, Toasts } from "./Toasts";
import { RoomSound } from "./TrackMedia";

const RoomChat = later(async () => (await import("../chat/RoomChat")).RoomChat, undefined, <div className="messages" aria-busy="true" />);
const ChatPanel = later(async () => (await import("./ChatPanel")).ChatPanel);
const PeoplePanel = later(async () => (await import("./PeoplePanel")).PeoplePanel);
const SettingsDialog = laterDialog(async () => (await import("./SettingsDialog")).SettingsDialog);
const ShortcutsDialog = laterDialog(async () => (await import("./ShortcutsDialog")).ShortcutsDialog);
const RoomBars = later(async () => (await import("../room/RoomBars")).RoomBars);
const RoomDialog = laterDialog(async () => (await import("../room/RoomDialog")).RoomDialog);
const Whiteboard = later(async () => (await import("../board/Whiteboard")).Whiteboard);
const BoardNotice = later(async () => (await import("../board/BoardNotice")).BoardNotice, () => null);
const InviteDialog = laterDialog(async () => (await import("./InviteDialog")).InviteDialog);

interface Props {
  call: InCall;
  visit: Visit;
  roomName: string;
  appName: string;
  session: Session;
  embedding: Embedding | null;
}

export function CallScreen(props: Props) {
  const { call, visit, session, roomName, appName } = props;
  const { room, away } = call;
  const { t } = useTranslation();
  const screen = useScreen(props);
  const { view, media, participants, chat, invite, live, board } = screen;
  const { layout, panel } = view;
  return (
    <div className="call" data-testid="call" data-theme="dark" data-layout={layout} data-away={away ?? undefined}>
      <CallHeader
        appName={appName}
        roomName={screen.title}
        count={participants.length}
        layout={layout}
        keys={view.keys}
        onInvite={invite}
        onToggleLayout={view.toggleLayout}
        seal={live && <SealStatus live={live} />}
        floating={<FloatingCall {...screen} room={room} onLeave={session.leave} onProblem={screen.show} />}
        onRoom={live === null ? null : screen.room.open}
        onBoard={live === null ? null : board.open}
      />
      <Banners
        room={room}
        silent={call.silent}
        micHint={away === null ? screen.micHint : null}
        keys={view.keys}
        onHear={session.hear}
        onUnmute={media.toggleMic}
        onSettings={screen.settings.open}
      />
      <OwnEffects room={room} visit={visit} media={media} onNote={screen.show} />
      {board.openedBy !== null && <BoardNotice name={board.openedBy} onOpen={board.open} onDismiss={board.dismiss} />}
      {live !== null && <RoomBars live={live} room={room} present={screen.present} micOn={media.micOn} onUnmute={media.toggleMic} />}
      <div className="call-main">
        <main className="call-stage" aria-label={t("call.stage", { room: roomName })}>
          <People room={room} screen={screen} />
          {live !== null && board.isOpen && <Whiteboard live={live} onClose={board.close} />}
          <CaptionLines room={room} visit={visit} />
          {away !== null && <Away reason={away} shared={screen.shared} onTryNow={session.tryNow} />}
        </main>
        {panel === "chat" && live === null && <ChatPanel chat={chat} visit={visit} onClose={view.closePanel} />}
        {panel === "chat" && live !== null && (
          <Panel name="chat" title={t("chat.title")} onClose={view.closePanel}>
            <RoomChat live={live} visit={visit} present={screen.present} privateTo={screen.privateTo} />
          </Panel>
        )}
        {panel === "people" && <PeoplePanel participants={participants} onInvite={invite} onShow={screen.inviting.open} onClose={view.closePanel} onWriteTo={screen.writeTo} />}
      </div>
      <Controls
        media={media}
        away={away !== null}
        view={view}
        waiting={screen.waiting}
        hand={screen.hand}
        reacting={screen.reacting}
        onSettings={screen.settings.open}
        onLeave={session.leave}
      />
      <Dialogs screen={screen} room={room} visit={visit} />
      <Toasts toasts={screen.toasts} dismiss={screen.dismiss} problems={call.problems} />
      <RoomSound room={room} muted={call.silent} />
    </div>
  );
}

/** The pictures of everybody, and what they react with. */
function People({ room, screen }: { room: Room; screen: ReturnType<typeof useScreen> }) {
  const { view, media, reacting } = screen;
  return (
    <ReactionsContext value={reacting.reactions}>
      <AudioOnly value={view.audioOnly}>
        <Stage
          room={room}
          participants={screen.participants}
          screens={screen.screens}
          sharing={media.screenOn}
          layout={view.layout}
          pinned={screen.pinned}
          onPin={screen.pin}
          ownView={view.ownView}
          onInvite={screen.invite}
          onStopSharing={media.toggleScreen}
        />
      </AudioOnly>
      <ReactionLines reactions={reacting.reactions} />
    </ReactionsContext>
  );
}

/** What is open over the call. */
function Dialogs({ screen, room, visit }: { screen: ReturnType<typeof useScreen>; room: Room; visit: Visit }) {
  const { live, settings, help, inviting } = screen;
  return (
    <>
      {live !== null && screen.room.isOpen && <RoomDialog live={live} onBoard={screen.board.open} onClose={screen.room.close} />}
      {settings.isOpen && (
        <SettingsDialog room={room} visit={visit} onClose={settings.close} onProblem={screen.tellProblem} />
      )}
      {inviting.isOpen && <InviteDialog link={screen.link} roomName={screen.title} onClose={inviting.close} />}
      {help.isOpen && <ShortcutsDialog visit={visit} onClose={help.close} />}
    </>
  );
}

/** Everything that the parts of the call screen share. */
function useScreen({ call, visit, roomName, embedding }: Props) {
  const { room, pending, away } = call;
  const { t } = useTranslation();
  const settings = useOpen();
  const roomDialog = useOpen();
  const help = useOpen();
  const inviting = useOpen();
  const { toasts, show, dismiss } = useToasts();
  const participants = usePresent(room);
  const live = useRoomLive();
  const board = useBoard(live);
  const logState = useMaybeRoomState(live);
  const chat = useChat(room, live !== null);
  const screens = useScreens(room);
  const called = useView(visit, chat.received, screens.length > 0);
  const view = logState === null ? called : { ...called, unread: called.panel === "chat" ? 0 : logState.unread };
  const present = useMemo(
    () => new Map(participants.map((participant) => [memberOf(participant.identity), displayName(participant)])),
    [participants],
  );
  const [privateTo, setPrivateTo] = useState<{ member: string; name: string } | null>(null);
  const writeTo = (member: string, name: string) => {
    setPrivateTo({ member, name });
    visit.note({ panel: "chat" });
  };
  const hand = handOf(live, logState);
  const reactions = useReactions(room, live?.sealed?.packets ?? null);
  const picker = useOpen();
  const reacting = { ...picker, reactions, toggle: picker.isOpen ? picker.close : picker.open };
  const waiting = logState !== null && reaches(logState.role, "moderator") ? logState.knocks.length : 0;
  useToldNews(live, show);
  const title = logState === null || logState.title === "" ? roomName : logState.title;

  const tellProblem = useCallback(
    (source: Track.Source, problem: DeviceProblem) => {
      show(problemText(t, source, problem), "problem");
      embedding?.failDevice(source, problem);
    },
    [show, t, embedding],
  );
  const media = useOwnMedia(room, visit, pending, tellProblem);
  const [pinned, pin] = useState<Item | null>(null);
  useEmbeddedCall(embedding, { room, participants, media, chat, view, hand, title, live, log: logState, pin });
  const micHint = useMicHint(room, media.micOn);
  const [shared, setShared] = useState(false);
  if (away === null && shared !== media.screenOn) setShared(media.screenOn);
  useComingsAndGoings(room, useBreakoutNews(live, show));
  useWakeLock();
  useEffect(stayInVersion, []);
  useShortcuts(view.keys, {
    mic: media.toggleMic,
    camera: media.toggleCamera,
    screen: media.toggleScreen,
    chat: view.toggleChat,
    people: view.togglePeople,
    layout: view.toggleLayout,
    hand: hand?.toggle ?? (() => undefined),
    react: reacting.toggle,
    fullScreen: toggleFullScreen,
    help: help.open,
  });
  useTalkKey(view.keys !== null && away === null && !pending.has(Track.Source.Microphone), room, visit, tellProblem);

  const link = roomLink(window.location.origin, roomName);
  const invite = () => {
    void copyText(link).then((copied) => {
      show(copied ? t("call.copied") : t("call.copyFailed", { link }));
    });
  };
  return { live, board, pinned, pin, present, privateTo, writeTo, hand, reacting, waiting, room: roomDialog, title, view, media, micHint, participants, screens, chat, invite, shared, toasts, show, dismiss, tellProblem, settings, help, link, inviting };
}

/** Whether a dialog is open, and its ways. */
function useOpen() {
  const [isOpen, setOpen] = useState(false);
  return {
    isOpen,
    open: () => {
      setOpen(true);
    },
    close: () => {
      setOpen(false);
    },
  };
}

function handOf(live: RoomLive | null, state: RoomSnapshot | null) {
  if (live === null || state === null) return null;
  const up = state.hands.some(({ member }) => member === state.me);
  return {
    up,
    toggle: () => {
      live.log.write({ verb: "hand", body: { up: !up } });
    },
  };
}

/** What of the room's log is worth a notice. */
function useToldNews(live: RoomLive | null, show: (text: string) => void): void {
  const { t } = useTranslation();
  const news = useMemo(
    () => ({
      onEntry: ({ verb, body, from, name }: Entry) => {
        if (verb === "hand" && body?.up === true && from !== live?.log.state.me) show(t("hand.raisedBy", { name }));
      },
      onRefused: () => {
        show(t("log.refused"));
      },
    }),
    [live, show, t],
  );
  useRoomNews(live, news);
}
