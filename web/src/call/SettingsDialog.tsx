import { type Room, Track } from "livekit-client";
import { Mic, Video, Volume2 } from "lucide-react";
import { useState, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Dialog } from "../components/Dialog";
import { BackgroundChoice } from "../components/BackgroundChoice";
import { DeviceSelect } from "../components/DeviceSelect";
import { LangSwitch } from "../components/LangSwitch";
import { LevelMeter } from "../components/LevelMeter";
import { NoiseChoice } from "../components/NoiseChoice";
import { Switch } from "../components/Switch";
import { TestSound } from "../components/TestSound";
import { useDevices } from "../hooks/useDevices";
import { useOwnCamera } from "../hooks/useBackground";
import { useOwnMic, useSentTrack } from "../hooks/useNoise";
import { canChooseSpeaker, type DeviceProblem, deviceProblem } from "../lib/devices";
import type { Visit } from "../lib/visit";
import { CallReport } from "./CallReport";
import { ShortcutList } from "./ShortcutList";
import { ViewSettings } from "./ViewSettings";

const PREF_OF = { videoinput: "cameraId", audioinput: "micId", audiooutput: "speakerId" } as const;
const SOURCE_OF = {
  videoinput: Track.Source.Camera,
  audioinput: Track.Source.Microphone,
  audiooutput: Track.Source.Microphone,
} as const;

interface Props {
  room: Room;
  visit: Visit;
  onClose: () => void;
  onProblem: (source: Track.Source, problem: DeviceProblem) => void;
}

export function SettingsDialog({ room, visit, onClose, onProblem }: Props) {
  const { t } = useTranslation();

  return (
    <Dialog title={t("settings.title")} testId="settings" onClose={onClose}>
      <CallDevices room={room} visit={visit} onProblem={onProblem} />
      <ViewSettings visit={visit} />
      <div className="settings-line">
        <span>{t("settings.language")}</span>
        <LangSwitch />
      </div>
      <Shortcuts visit={visit} />
      <CallReport room={room} />
    </Dialog>
  );
}

function Shortcuts({ visit }: { visit: Visit }) {
  const { t } = useTranslation();
  const { shortcuts } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  return (
    <section className="shortcuts">
      <Switch
        label={t("settings.shortcuts")}
        testId="shortcuts-switch"
        on={shortcuts}
        onChange={(on) => {
          visit.choose({ shortcuts: on });
        }}
      />
      {shortcuts && <ShortcutList visit={visit} />}
    </section>
  );
}

function CallDevices({ room, visit, onProblem }: Pick<Props, "room" | "visit" | "onProblem">) {
  const { t } = useTranslation();
  const devices = useDevices(room);
  const mic = useOwnMic(room);
  const sent = useSentTrack(mic);
  const camera = useOwnCamera(room);
  const { noise, background } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const [chosen, setChosen] = useState(() => ({
    videoinput: room.getActiveDevice("videoinput") ?? "",
    audioinput: room.getActiveDevice("audioinput") ?? "",
    audiooutput: room.getActiveDevice("audiooutput") ?? "",
  }));

  const choose = async (kind: MediaDeviceKind, deviceId: string) => {
    setChosen((old) => ({ ...old, [kind]: deviceId }));
    visit.choose({ [PREF_OF[kind]]: deviceId });
    try {
      await room.switchActiveDevice(kind, deviceId);
    } catch (error) {
      onProblem(SOURCE_OF[kind], deviceProblem(error));
    }
  };

  return (
    <div className="devices">
      <DeviceSelect
        label={t("lobby.camera")}
        icon={Video}
        devices={devices.videoinput}
        value={chosen.videoinput}
        onChange={(deviceId) => void choose("videoinput", deviceId)}
      />
      <BackgroundChoice
        camera={camera}
        background={background}
        onChange={(chosenBackground) => {
          visit.choose({ background: chosenBackground });
        }}
      />
      <div>
        <DeviceSelect
          label={t("lobby.mic")}
          icon={Mic}
          devices={devices.audioinput}
          value={chosen.audioinput}
          onChange={(deviceId) => void choose("audioinput", deviceId)}
        />
        <LevelMeter track={sent} />
      </div>
      <NoiseChoice
        mic={mic}
        noise={noise}
        onChange={(chosenNoise) => {
          visit.choose({ noise: chosenNoise });
        }}
      />
      <div className="speaker-row">
        {canChooseSpeaker() && (
          <DeviceSelect
            label={t("lobby.speaker")}
            icon={Volume2}
            devices={devices.audiooutput}
            value={chosen.audiooutput}
            onChange={(deviceId) => void choose("audiooutput", deviceId)}
          />
        )}
        <TestSound speakerId={chosen.audiooutput} />
      </div>
    </div>
  );
}
