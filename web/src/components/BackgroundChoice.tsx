import type { LocalVideoTrack } from "livekit-client";
import { Ban, Droplets, ImagePlus } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef, useState, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { canChangeBackground } from "../effects/background";
import { chooseOwnPicture, loadOwnPicture, onOwnPicture, ownPictureAddress } from "../effects/ownPicture";
import { PICTURES } from "../effects/pictures";
import { useBackgroundProblem, useWithheld } from "../hooks/useBackground";
import { type Background, BACKGROUNDS } from "../lib/prefs";

interface Props {
  camera: LocalVideoTrack | null;
  background: Background;
  onChange: (background: Background) => void;
}

/** What is behind oneself in the picture that others get. */
export function BackgroundChoice({ camera, background, onChange }: Props) {
  const { t } = useTranslation("media");
  const id = useId();
  const slow = useBackgroundProblem(camera);
  const problem = useWithheld() ? "failed" : slow;
  const own = useSyncExternalStore(onOwnPicture, ownPictureAddress);
  const file = useRef<HTMLInputElement>(null);
  const [unreadable, setUnreadable] = useState(false);
  useEffect(() => {
    void loadOwnPicture();
  }, []);
  if (!canChangeBackground()) return null;

  const faces: Record<Background, ReactNode> = {
    none: <Ban size={20} aria-hidden />,
    blur: <Droplets size={20} aria-hidden />,
    hills: <img src={PICTURES.hills} alt="" />,
    study: <img src={PICTURES.study} alt="" />,
    calm: <img src={PICTURES.calm} alt="" />,
    own: own === null ? <ImagePlus size={20} aria-hidden /> : <img src={own} alt="" />,
  };
  const take = async (picture: File) => {
    try {
      await chooseOwnPicture(picture);
      setUnreadable(false);
      onChange("own");
    } catch {
      setUnreadable(true);
    }
  };
  return (
    <div className="field">
      <span className="field-name" id={id}>
        {t("background.label")}
      </span>
      <div className="backgrounds" role="group" aria-labelledby={id}>
        {BACKGROUNDS.map((one) => (
          <button
            key={one}
            type="button"
            className="background"
            data-testid={`background-${one}`}
            aria-label={t(`background.${one}`)}
            data-tip={t(`background.${one}`)}
            aria-pressed={background === one}
            onClick={() => {
              // The own one is chosen anew with a second press.
              if (one === "own" && (own === null || background === "own")) file.current?.click();
              else onChange(one);
            }}
          >
            {faces[one]}
          </button>
        ))}
      </div>
      <input
        ref={file}
        type="file"
        accept="image/*"
        hidden
        data-testid="background-file"
        onChange={({ target }) => {
          const picture = target.files?.[0];
          if (picture !== undefined) void take(picture);
          target.value = "";
        }}
      />
      <p className="effect-note" role="status" data-testid="background-note">
        {unreadable ? t("background.unreadable") : problem !== null && t(`background.problem.${problem}`)}
      </p>
    </div>
  );
}
