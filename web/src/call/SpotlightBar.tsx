import type { Participant } from "livekit-client";
import { Star } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { reaches } from "../lib/api";
import { displayName } from "../lib/people";
import type { Spotlight } from "../lib/spotlight";
import { isSame, type Item } from "../lib/stage";
import { useMaybeRoomState, useRoomLive } from "../room/RoomLive";

interface Props {
  spotlight: Spotlight;
  participants: readonly Participant[];
  pinned: Item | null;
  onPin: (item: null) => void;
}

/** Says who is first for everybody, and who wanted it so; hosts end it here. */
export function SpotlightBar({ spotlight, participants, pinned, onPin }: Props) {
  const { t } = useTranslation("hosts");
  const { t: common } = useTranslation();
  const live = useRoomLive();
  const state = useMaybeRoomState(live);
  const [failed, setFailed] = useState(false);
  const shown = participants.find(({ identity }) => identity === spotlight.identity);
  if (shown === undefined) return null;
  const { by } = spotlight;
  const name = displayName(shown);
  const kind = spotlight.kind === "screen" ? "screen" : shown.isLocal ? "you" : "camera";
  const end = async () => {
    setFailed(false);
    try {
      await live?.api.endSpotlight();
    } catch {
      setFailed(true);
    }
  };
  return (
    <div className="spotlight-bar" data-testid="spotlight" data-identity={spotlight.identity} data-kind={spotlight.kind}>
      <p role="status">
        <Star size={17} aria-hidden />
        <span>{t(`spotlight.bar.${kind}`, { by, name })}</span>
      </p>
      {failed && <p role="alert">{common("host.failed")}</p>}
      {pinned !== null && !isSame(pinned, spotlight) && (
        <button
          type="button"
          className="button quiet small"
          data-testid="show-spotlight"
          onClick={() => {
            onPin(null);
          }}
        >
          {t("spotlight.show")}
        </button>
      )}
      {state !== null && reaches(state.role, "moderator") && (
        <button type="button" className="button quiet small" data-testid="end-spotlight" onClick={() => void end()}>
          {t("spotlight.end")}
        </button>
      )}
    </div>
  );
}
