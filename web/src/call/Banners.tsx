import { ConnectionState, type Room, RoomEvent } from "livekit-client";
import { LoaderCircle, MicOff, Volume2, VolumeX } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { useConnectionState } from "../hooks/useRoomState";
import type { MicHint } from "../lib/micHint";
import { keyLabel, type Keys } from "../lib/shortcuts";

interface Props {
  room: Room;
  silent: boolean;
  micHint: MicHint;
  /** Whether M switches the microphone. */
  keys: Keys | null;
  onHear: () => void;
  onUnmute: () => void;
  onSettings: () => void;
}

/** What one should know of the call as a whole, above the pictures. */
export function Banners({ room, silent, micHint, keys, onHear, onUnmute, onSettings }: Props) {
  const { t } = useTranslation();
  const state = useConnectionState(room);
  const soundHeld = useSoundHeld(room);
  const key = keyLabel(keys, "mic");
  const reconnecting = state === ConnectionState.Reconnecting || state === ConnectionState.SignalReconnecting;
  return (
    <div className="banners" role="status">
      {reconnecting && (
        <p className="banner warn" data-testid="banner-reconnecting">
          <LoaderCircle size={18} className="spin" aria-hidden />
          {t("call.reconnecting")}
        </p>
      )}
      {silent && (
        <button type="button" className="banner" data-testid="hear-here" onClick={onHear}>
          <VolumeX size={18} aria-hidden />
          {t("elsewhere.silentNow")}
        </button>
      )}
      {micHint === "talking" && (
        <button type="button" className="banner" data-testid="hint-talking" onClick={onUnmute}>
          <MicOff size={18} aria-hidden />
          {key === undefined ? t("hint.talking") : t("hint.talkingKey", { key })}
        </button>
      )}
      {micHint === "silent" && (
        <button type="button" className="banner warn" data-testid="hint-silent" onClick={onSettings}>
          <MicOff size={18} aria-hidden />
          {t("hint.silent")}
        </button>
      )}
      {soundHeld && !silent && (
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
