import type { LocalTrack } from "livekit-client";
import { Mic, MicOff, Video, VideoOff, Volume2 } from "lucide-react";
import { useCallback, useEffect, useRef } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { BackgroundChoice } from "../components/BackgroundChoice";
import { DeviceSelect } from "../components/DeviceSelect";
import { LevelMeter } from "../components/LevelMeter";
import { NoiseChoice } from "../components/NoiseChoice";
import { TestSound } from "../components/TestSound";
import { useDevices } from "../hooks/useDevices";
import { useBackground } from "../hooks/useBackground";
import { useNoise, useSentTrack } from "../hooks/useNoise";
import { rawTrack } from "../effects/rawTrack";
import { canChooseSpeaker } from "../lib/devices";
import type { Prefs } from "../lib/prefs";
import type { Preview, PreviewState } from "../lib/preview";
import { EchoTest } from "./EchoTest";

interface PreviewBoxProps {
  media: PreviewState;
  preview: Preview;
  name: string;
  onToggle: (part: { cameraOn?: boolean; micOn?: boolean }) => void;
}

/** How one looks to others. */
export function PreviewBox({ media, preview, name, onToggle }: PreviewBoxProps) {
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

export function DeviceProblems({ media }: { media: PreviewState }) {
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
  prefs: Pick<Prefs, "cameraId" | "micId" | "speakerId" | "noise" | "background">;
  onChange: (part: Partial<Prefs>) => void;
}

export function Devices({ media, preview, prefs, onChange }: DevicesProps) {
  const { t } = useTranslation();
  const devices = useDevices(`${media.camera !== null}${media.mic !== null}`);
  const inUse = (track: LocalTrack | null, wanted: string) =>
    track === null ? wanted : (rawTrack(track).getSettings().deviceId ?? wanted);
  useNoise(media.mic, prefs.noise);
  useBackground(
    media.camera,
    prefs.background,
    useCallback(() => void preview.setOn("camera", false), [preview]),
  );
  const sent = useSentTrack(media.mic);
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
      <BackgroundChoice
        camera={media.camera}
        background={prefs.background}
        onChange={(background) => {
          onChange({ background });
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
        <LevelMeter track={sent} />
      </div>
      <NoiseChoice
        mic={media.mic}
        noise={prefs.noise}
        onChange={(noise) => {
          onChange({ noise });
        }}
      />
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
      <EchoTest mic={sent} speakerId={prefs.speakerId} />
    </div>
  );
}
