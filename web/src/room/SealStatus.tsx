import type { Room } from "livekit-client";
import { LoaderCircle, ShieldAlert } from "lucide-react";
import { useState, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { later, laterDialog } from "../components/later";
import { SealBadge } from "../components/SealBadge";
import type { SealedProblem, SealedSession } from "../sealed/session";
import { type RoomLive, useRoomState } from "./RoomLive";

const MediaSealBanner = later(async () => (await import("./MediaSealBanner")).MediaSealBanner);
const SealDialog = laterDialog(async () => (await import("./SealDialog")).SealDialog);

/** The room's kind; where it is sealed, the way to see how. */
export function SealStatus({ live }: { live: RoomLive }) {
  const { policy } = useRoomState(live.log);
  const [isShown, setShown] = useState(false);
  const { sealed } = live;
  if (sealed === null || policy.kind === "open") return <SealBadge kind={policy.kind} />;
  return (
    <>
      <SealBadge
        kind="sealed"
        onShow={() => {
          setShown(true);
        }}
      />
      {isShown && (
        <SealDialog
          live={live}
          sealed={sealed}
          onClose={() => {
            setShown(false);
          }}
        />
      )}
    </>
  );
}

/** What of a sealed room, and of its call, cannot be read, heard or seen here, and why. */
export function SealBanner({ live, call = null }: { live: RoomLive; call?: Room | null }) {
  if (live.sealed === null) return null;
  return <Banners session={live.sealed.session} call={call} />;
}

interface BannersProps {
  session: Pick<SealedSession, "subscribe" | "snapshot">;
  call: Room | null;
}

function Banners({ session, call }: BannersProps) {
  const { view, problem } = useSyncExternalStore(session.subscribe, session.snapshot);
  return (
    <>
      {view === null && <GroupBanner problem={problem} />}
      {/* With another link nobody is read, and no key is on its way. */}
      {call !== null && problem !== "link" && (
        <MediaSealBanner room={call} />
      )}
    </>
  );
}

function GroupBanner({ problem }: { problem: SealedProblem | null }) {
  const { t } = useTranslation();
  return (
    <p className={`banner${problem === null ? "" : " warn"}`} role="status" data-testid="seal-banner" data-problem={problem ?? ""}>
      {problem === null ? <LoaderCircle size={18} className="spin" aria-hidden /> : <ShieldAlert size={18} aria-hidden />}
      {problem === null ? t("seal.joining") : t(`seal.problem.${problem}`)}
    </p>
  );
}
