import type { Room } from "livekit-client";
import { ShieldAlert } from "lucide-react";
import { useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { callMediaOf, type MediaProblems } from "../sealed/callMedia";

const NO_PROBLEMS: MediaProblems = new Map();
const NONE = { subscribe: () => () => undefined, snapshot: () => NO_PROBLEMS };

/** Whose sound or picture does not open here. */
export function MediaSealBanner({ room }: { room: Room }) {
  const { t } = useTranslation();
  const { subscribe, snapshot } = callMediaOf(room) ?? NONE;
  const problems = useSyncExternalStore(subscribe, snapshot);
  return [...problems].map(([identity, kind]) => {
    const isOwn = identity === room.localParticipant.identity;
    const name = room.getParticipantByIdentity(identity)?.name ?? t("event.somebody");
    return (
      <p key={identity} className="banner warn" role="status" data-testid="media-seal-banner" data-identity={identity} data-problem={kind}>
        <ShieldAlert size={18} aria-hidden />
        {isOwn ? t("seal.media.own") : t(`seal.media.${kind}`, { name })}
      </p>
    );
  });
}
