import { LocalVideoTrack, type TrackPublication, VideoPresets } from "livekit-client";
import { SwitchCamera } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { rawTrack } from "../effects/rawTrack";
import { useDevices } from "../hooks/useDevices";
import { facesAway } from "../lib/devices";

/** On what has a camera on both sides: from the one to the other. `onFlipped` when the picture is another one. */
export function FlipButton({ camera, onFlipped }: { camera: TrackPublication; onFlipped: () => void }) {
  const { t } = useTranslation();
  const devices = useDevices(camera);
  const [busy, setBusy] = useState(false);
  const track = camera.track;
  if (devices.videoinput.length < 2 || !window.matchMedia("(pointer: coarse)").matches) return null;
  const flip = async () => {
    if (!(track instanceof LocalVideoTrack)) return;
    const facing = facesAway(rawTrack(track));
    setBusy(true);
    try {
      await restart(track, facing ? "user" : "environment");
    } catch {
      // The other one is taken or broken. This one was let go for it, and comes back.
      await restart(track, facing ? "environment" : "user").catch(() => undefined);
    } finally {
      setBusy(false);
      onFlipped();
    }
  };
  return (
    <button
      type="button"
      className="icon-button tile-flip"
      data-testid="flip-camera"
      aria-label={t("call.flip")}
      disabled={busy}
      onClick={() => void flip()}
    >
      <SwitchCamera size={18} aria-hidden />
    </button>
  );
}

const restart = (track: LocalVideoTrack, facingMode: "user" | "environment") =>
  track.restartTrack({ facingMode, resolution: VideoPresets.h720.resolution });
