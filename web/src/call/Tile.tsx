import { ConnectionQuality, LocalVideoTrack, type Participant, Track, type TrackPublication } from "livekit-client";
import { LoaderCircle, Maximize2, MicOff, MonitorUp, Pin, PinOff, WifiLow, WifiOff } from "lucide-react";
import { type CSSProperties, type MouseEvent, useContext, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Avatar } from "../components/Avatar";
import { later } from "../components/later";
import { rawTrack } from "../effects/rawTrack";
import { type Person, usePerson } from "../hooks/usePerson";
import type { SharedScreen } from "../hooks/useScreens";
import { facesAway } from "../lib/devices";
import { AudioOnly } from "../lib/audioOnly";
import type { Item } from "../lib/stage";
import { EMOJIS } from "../reactions/reactions";
import { useReactionOf } from "../reactions/useReactions";
import { FlipButton } from "./FlipButton";
import { TileFigures } from "./TileFigures";
import { VideoTrack } from "./TrackMedia";

const ScreenDrawing = later(async () => (await import("../drawing/ScreenDrawing")).ScreenDrawing, () => null);

interface TileProps {
  participant: Participant;
  style?: CSSProperties;
  pinned?: boolean;
  onPin?: (item: Item | null) => void;
}

/** One person: picture or initials, name, and what one should know about their sound and connection. */
export function Tile({ participant, style, pinned = false, onPin }: TileProps) {
  const { t } = useTranslation();
  const person = usePerson(participant);
  const { name, local, camera, cameraOn, cameraReady } = person;
  const pictures = !useContext(AudioOnly) || local;
  const pin = onPin && (() => {
    onPin(pinned ? null : { kind: "person", identity: person.identity });
  });
  const pinLabel = pinned ? t("call.unpin", { name }) : t("call.pin", { name });
  return (
    <article
      className={`tile${person.speaking && person.micOn ? " speaking" : ""}`}
      style={style}
      data-testid="tile"
      data-identity={person.identity}
      data-name={name}
      data-local={local}
      data-muted={!person.micOn}
      data-camera={cameraOn}
      data-speaking={person.speaking}
      aria-label={local ? t("call.nameYou", { name }) : name}
      onDoubleClick={pin && outsideOfButtons(pin)}
    >
      {pictures && cameraOn && cameraReady && camera !== undefined ? (
        <Picture key={camera.trackSid} person={person} camera={camera} />
      ) : (
        <Blank person={person} waiting={cameraOn && pictures} />
      )}
      <TileCaption person={person} />
      <TileReaction identity={person.identity} />
      <Quality quality={person.quality} />
      <TileFigures name={name} publication={cameraOn && pictures ? camera : participant.getTrackPublication(Track.Source.Microphone)} />
      {pin !== undefined && (
        <button
          type="button"
          className="icon-button tile-pin"
          data-testid="pin"
          aria-label={pinLabel}
          aria-pressed={pinned}
          onClick={pin}
        >
          {pinned ? <PinOff size={16} aria-hidden /> : <Pin size={16} aria-hidden />}
        </button>
      )}
    </article>
  );
}

/** Two fast clicks on a button are not meant for what is under it. */
function outsideOfButtons(action: () => void) {
  return ({ target }: MouseEvent) => {
    if (target instanceof Element && target.closest("button") === null) action();
  };
}

function Picture({ person, camera }: { person: Person; camera: TrackPublication }) {
  const [playing, setPlaying] = useState(false);
  const [, setFlips] = useState(0);
  const own = camera.track instanceof LocalVideoTrack ? camera.track : null;
  return (
    <>
      {!playing && <Blank person={person} waiting />}
      <VideoTrack
        className={own !== null && !facesAway(rawTrack(own)) ? "tile-video mirrored" : "tile-video"}
        publication={camera}
        onPlaying={() => {
          setPlaying(true);
        }}
      />
      {person.local && (
        <FlipButton
          camera={camera}
          onFlipped={() => {
            setFlips((count) => count + 1);
          }}
        />
      )}
    </>
  );
}

function Blank({ person, waiting }: { person: Person; waiting: boolean }) {
  const { t } = useTranslation();
  return (
    <div className="tile-blank">
      <Avatar name={person.name} identity={person.identity} />
      {waiting && <LoaderCircle className="tile-wait spin" size={20} aria-label={t("call.connecting")} />}
    </div>
  );
}

function TileCaption({ person }: { person: Person }) {
  const { t } = useTranslation();
  return (
    <div className="tile-caption">
      {!person.micOn && <MicOff className="muted-icon" size={15} aria-label={t("call.muted")} />}
      {person.sharing && <MonitorUp size={15} aria-label={t("people.sharing")} />}
      <bdi>{person.local ? t("call.nameYou", { name: person.name }) : person.name}</bdi>
    </div>
  );
}

/** It is said with the others of the call. */
function TileReaction({ identity }: { identity: string }) {
  const emoji = useReactionOf(identity);
  return (
    emoji !== null && (
      <span key={emoji} className="tile-reaction" data-testid="tile-reaction" aria-hidden>
        {EMOJIS[emoji]}
      </span>
    )
  );
}

function Quality({ quality }: { quality: ConnectionQuality }) {
  const { t } = useTranslation();
  if (quality !== ConnectionQuality.Poor && quality !== ConnectionQuality.Lost) return null;
  const lost = quality === ConnectionQuality.Lost;
  const Icon = lost ? WifiOff : WifiLow;
  return (
    <span className={`tile-quality${lost ? " lost" : ""}`} title={lost ? t("call.lost") : t("call.poor")}>
      <Icon size={15} aria-label={lost ? t("call.lost") : t("call.poor")} />
    </span>
  );
}

interface ScreenTileProps extends SharedScreen {
  style?: CSSProperties;
  /** Whether it has the main place already. */
  large?: boolean;
  pinned?: boolean;
  onPin: (item: Item | null) => void;
}

/** Somebody's shared screen, never cropped. A click on a small one makes it large. */
export function ScreenTile({ participant, publication, style, large = false, pinned = false, onPin }: ScreenTileProps) {
  const { t } = useTranslation();
  const { name, identity } = usePerson(participant);
  const label = t("call.screenOf", { name });
  return (
    <article
      className="tile screen"
      style={style}
      data-testid="screen-tile"
      data-identity={identity}
      data-name={name}
      data-large={large}
      aria-label={label}
      onDoubleClick={outsideOfButtons(() => {
        onPin(pinned ? null : { kind: "screen", identity });
      })}
    >
      {publication.track === undefined ? (
        <div className="tile-blank">
          <LoaderCircle className="spin" size={28} aria-label={t("call.connecting")} />
        </div>
      ) : (
        <>
          <VideoTrack className="tile-video whole" publication={publication} />
          <ScreenDrawing presenter={participant} share={publication.trackSid} large={large} />
        </>
      )}
      <div className="tile-caption">
        <MonitorUp size={15} aria-hidden />
        <bdi>{label}</bdi>
      </div>
      {!large && (
        <button
          type="button"
          className="tile-cover"
          data-testid="show-large"
          aria-label={t("call.showLarge", { name })}
          onClick={() => {
            onPin({ kind: "screen", identity });
          }}
        >
          <Maximize2 size={16} aria-hidden />
        </button>
      )}
      {pinned && <UnpinScreen name={name} onPin={onPin} />}
    </article>
  );
}

function UnpinScreen({ name, onPin }: { name: string; onPin: (item: null) => void }) {
  const { t } = useTranslation();
  return (
    <button
      type="button"
      className="icon-button tile-pin"
      aria-label={t("call.unpinScreen", { name })}
      aria-pressed
      onClick={() => {
        onPin(null);
      }}
    >
      <PinOff size={16} aria-hidden />
    </button>
  );
}
