import { ArrowLeft, LoaderCircle, Mic, MicOff, TriangleAlert, Users, Video, VideoOff, Volume2 } from "lucide-react";
import { type SubmitEvent, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { Brand } from "../components/Brand";
import { ElsewhereNote } from "../components/ElsewhereNote";
import { DeviceSelect } from "../components/DeviceSelect";
import { LangSwitch } from "../components/LangSwitch";
import { LevelMeter } from "../components/LevelMeter";
import { TestSound } from "../components/TestSound";
import { useDevices } from "../hooks/useDevices";
import { fetchRoom, type ServerConfig } from "../lib/api";
import type { JoinProblem } from "../lib/call";
import { canChooseSpeaker } from "../lib/devices";
import { Preview, type PreviewState } from "../lib/preview";
import { navigate } from "../lib/router";
import type { Visit, VisitState } from "../lib/visit";

interface Props {
  config: ServerConfig;
  roomName: string;
  visit: Visit;
  /** Whether this browser is in the room with another tab. */
  elsewhere: boolean;
  joining: boolean;
  problem: JoinProblem | null;
  onJoin: (preview: Preview) => void;
  onJoinSilent: () => void;
}

/** The device check: how one looks and sounds, before anybody else does. */
export function Lobby(props: Props) {
  const { config, visit } = props;
  const chosen = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const [preview] = useState(() => new Preview(visit.state));
  const media = useSyncExternalStore(preview.subscribe, preview.snapshot);

  useEffect(() => {
    void preview.start();
    return () => {
      preview.dispose();
    };
  }, [preview]);

  const change = (part: Partial<VisitState>) => {
    visit.choose(part);
  };

  return (
    <div className="page lobby">
      <header className="top-bar">
        <Brand name={config.name} />
        <LangSwitch />
      </header>
      <main className="lobby-main">
        <section className="lobby-media">
          <PreviewBox media={media} preview={preview} name={chosen.name} onToggle={change} />
          <DeviceProblems media={media} />
        </section>
        <LobbyForm {...props} chosen={chosen} media={media} preview={preview} onChange={change} />
      </main>
    </div>
  );
}

interface LobbyFormProps extends Props {
  chosen: VisitState;
  media: PreviewState;
  preview: Preview;
  onChange: (part: Partial<VisitState>) => void;
}

function LobbyForm({ chosen, media, preview, onChange, ...props }: LobbyFormProps) {
  const { roomName, visit, elsewhere, joining, problem, onJoin, onJoinSilent } = props;
  const { t } = useTranslation();
  const [nameMissing, setNameMissing] = useState(false);

  const join = (enter: (preview: Preview) => void) => {
    const name = chosen.name.trim();
    setNameMissing(name === "");
    if (name === "") return;
    visit.choose({ name });
    // A device that did not open is off, which is no choice for the next visit.
    visit.note({ cameraOn: media.cameraOn, micOn: media.micOn });
    enter(preview);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    join(onJoin);
  };
  const joinSilent = () => {
    join(onJoinSilent);
  };

  return (
    <form className="card lobby-form" onSubmit={submit} noValidate>
      <div>
        <h1>{t("lobby.title")}</h1>
        <RoomLine roomName={roomName} />
      </div>
      <NameField
        value={chosen.name}
        missing={nameMissing}
        onChange={(name) => {
          onChange({ name });
          setNameMissing(false);
        }}
      />
      <Devices media={media} preview={preview} prefs={chosen} onChange={onChange} />
      {problem !== null && <JoinProblemBox problem={problem} />}
      {elsewhere && <ElsewhereNote disabled={joining} onJoinSilent={joinSilent} />}
      <button type="submit" className="button primary large wide" data-testid="join-call" disabled={joining}>
        {joining && <LoaderCircle size={18} className="spin" aria-hidden />}
        {joinLabel(joining, elsewhere, media, t)}
      </button>
      <BackButton />
    </form>
  );
}

function JoinProblemBox({ problem }: { problem: JoinProblem }) {
  const { t } = useTranslation();
  return (
    <p className="problem boxed" role="alert" data-testid="join-problem">
      <TriangleAlert size={18} aria-hidden />
      {t(`joinProblem.${problem}`)}
    </p>
  );
}

function BackButton() {
  const { t } = useTranslation();
  return (
    <button
      type="button"
      className="button quiet wide"
      onClick={() => {
        navigate("/");
      }}
    >
      <ArrowLeft size={16} aria-hidden />
      {t("lobby.back")}
    </button>
  );
}

function NameField({ value, missing, onChange }: { value: string; missing: boolean; onChange: (name: string) => void }) {
  const { t } = useTranslation();
  return (
    <div className="field">
      <label htmlFor="name">{t("lobby.name")}</label>
      <input
        id="name"
        data-testid="name-input"
        autoComplete="name"
        maxLength={64}
        placeholder={t("lobby.namePlaceholder")}
        aria-invalid={missing}
        aria-describedby={missing ? "name-problem" : undefined}
        value={value}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      />
      {missing && (
        <p id="name-problem" className="problem" role="alert">
          {t("lobby.nameMissing")}
        </p>
      )}
    </div>
  );
}

type Translate = ReturnType<typeof useTranslation>["t"];

function joinLabel(joining: boolean, elsewhere: boolean, media: PreviewState, t: Translate): string {
  if (joining) return t("lobby.joining");
  if (elsewhere) return t("elsewhere.move");
  return media.cameraProblem !== null && media.micProblem !== null ? t("lobby.joinWithout") : t("lobby.join");
}

function RoomLine({ roomName }: { roomName: string }) {
  const { t } = useTranslation();
  const [count, setCount] = useState<number | null>(null);

  useEffect(() => {
    let current = true;
    const load = () => {
      fetchRoom(roomName).then(
        (room) => {
          if (current) setCount(room?.numParticipants ?? 0);
        },
        () => undefined, // Only a hint; joining tells what is wrong.
      );
    };
    load();
    const timer = window.setInterval(load, 10_000);
    return () => {
      current = false;
      window.clearInterval(timer);
    };
  }, [roomName]);

  return (
    <p className="room-line">
      <bdi className="room-chip">{roomName}</bdi>
      {count !== null && (
        <span className="room-count" data-testid="room-count">
          <Users size={15} aria-hidden />
          {count === 0 ? t("lobby.empty") : t("lobby.here", { count })}
        </span>
      )}
    </p>
  );
}

interface PreviewBoxProps {
  media: PreviewState;
  preview: Preview;
  name: string;
  onToggle: (part: { cameraOn?: boolean; micOn?: boolean }) => void;
}

function PreviewBox({ media, preview, name, onToggle }: PreviewBoxProps) {
  const { t } = useTranslation();
  const video = useRef<HTMLVideoElement>(null);
  const { camera } = media;

  useEffect(() => {
    const element = video.current;
    if (element === null || camera === null) return;
    camera.attach(element);
    return () => {
      camera.detach(element);
    };
  }, [camera]);

  const toggle = (kind: "camera" | "mic") => {
    const on = !(kind === "camera" ? media.cameraOn : media.micOn);
    onToggle(kind === "camera" ? { cameraOn: on } : { micOn: on });
    void preview.setOn(kind, on);
  };

  return (
    <div className="preview">
      <video
        ref={video}
        className={camera === null ? "mirrored hidden" : "mirrored"}
        data-testid="preview-video"
        aria-label={t("lobby.preview")}
        muted
        playsInline
        autoPlay
      />
      {camera === null && (
        <p className="preview-note">{media.starting && media.cameraOn ? t("lobby.starting") : t("lobby.cameraOff")}</p>
      )}
      {name.trim() !== "" && <bdi className="preview-name">{name}</bdi>}
      <div className="preview-controls">
        <button
          type="button"
          className={`round ${media.micOn ? "" : "off"}`}
          data-testid="lobby-mic"
          aria-label={t("lobby.mic")}
          aria-pressed={media.micOn}
          data-tip={media.micOn ? t("call.micOn") : t("call.micOff")}
          onClick={() => {
            toggle("mic");
          }}
        >
          {media.micOn ? <Mic size={22} aria-hidden /> : <MicOff size={22} aria-hidden />}
        </button>
        <button
          type="button"
          className={`round ${media.cameraOn ? "" : "off"}`}
          data-testid="lobby-camera"
          aria-label={t("lobby.camera")}
          aria-pressed={media.cameraOn}
          data-tip={media.cameraOn ? t("call.cameraOn") : t("call.cameraOff")}
          onClick={() => {
            toggle("camera");
          }}
        >
          {media.cameraOn ? <Video size={22} aria-hidden /> : <VideoOff size={22} aria-hidden />}
        </button>
      </div>
    </div>
  );
}

function DeviceProblems({ media }: { media: PreviewState }) {
  const { t } = useTranslation();
  return (
    <>
      {media.cameraProblem !== null && (
        <p className="problem boxed" role="alert" data-testid="device-error" data-device="camera">
          <VideoOff size={18} aria-hidden />
          {t(`deviceProblem.camera.${media.cameraProblem}`)}
        </p>
      )}
      {media.micProblem !== null && (
        <p className="problem boxed" role="alert" data-testid="device-error" data-device="mic">
          <MicOff size={18} aria-hidden />
          {t(`deviceProblem.mic.${media.micProblem}`)}
        </p>
      )}
    </>
  );
}

interface DevicesProps {
  media: PreviewState;
  preview: Preview;
  prefs: { cameraId: string; micId: string; speakerId: string };
  onChange: (part: { cameraId?: string; micId?: string; speakerId?: string; cameraOn?: boolean; micOn?: boolean }) => void;
}

function Devices({ media, preview, prefs, onChange }: DevicesProps) {
  const { t } = useTranslation();
  const devices = useDevices(`${media.camera !== null}${media.mic !== null}`);
  const inUse = (track: { mediaStreamTrack: MediaStreamTrack } | null, wanted: string) =>
    track?.mediaStreamTrack.getSettings().deviceId ?? wanted;
  return (
    <div className="devices">
      <DeviceSelect
        label={t("lobby.camera")}
        icon={Video}
        devices={devices.videoinput}
        value={inUse(media.camera, prefs.cameraId)}
        onChange={(cameraId) => {
          onChange({ cameraId, cameraOn: true });
          void preview.setDevice("camera", cameraId);
        }}
      />
      <div>
        <DeviceSelect
          label={t("lobby.mic")}
          icon={Mic}
          devices={devices.audioinput}
          value={inUse(media.mic, prefs.micId)}
          onChange={(micId) => {
            onChange({ micId, micOn: true });
            void preview.setDevice("mic", micId);
          }}
        />
        <LevelMeter track={media.mic?.mediaStreamTrack ?? null} />
      </div>
      <div className="speaker-row">
        {canChooseSpeaker() && (
          <DeviceSelect
            label={t("lobby.speaker")}
            icon={Volume2}
            devices={devices.audiooutput}
            value={prefs.speakerId}
            onChange={(speakerId) => {
              onChange({ speakerId });
            }}
          />
        )}
        <TestSound speakerId={prefs.speakerId} />
      </div>
    </div>
  );
}
