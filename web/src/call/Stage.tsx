import type { Participant, Room } from "livekit-client";
import { AudioLines, MonitorUp } from "lucide-react";
import { useId, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { later } from "../components/later";
import type { SharedScreen } from "../hooks/useScreens";
import { useSpeakers } from "../hooks/useSpeakers";
import { useSpotlight } from "../hooks/useSpotlight";
import { displayName } from "../lib/people";
import type { Layout, OwnView } from "../lib/prefs";
import { arrange, isSame, type Item, orderStrip, ownViewOf } from "../lib/stage";
import { Grid } from "./Grid";
import { ScreenTabs } from "./ScreenTabs";
import { SpotlightBar } from "./SpotlightBar";
import { ScreenTile, Tile } from "./Tile";

const Presenting = later(async () => (await import("../drawing/Presenting")).Presenting);

interface Props {
  room: Room;
  participants: readonly Participant[];
  /** The screens of the others. */
  screens: readonly SharedScreen[];
  /** Whether one's own screen is shared. */
  sharing: boolean;
  layout: Layout;
  /** What is large because somebody wants it so. */
  pinned: Item | null;
  onPin: (item: Item | null) => void;
  ownView: OwnView;
  onInvite: () => void;
  onStopSharing: () => void;
}

/** Everybody's pictures: a shared screen or a person large with the rest beside it, or all in a grid. */
export function Stage({ room, participants, screens, sharing, layout, pinned, onPin, ownView, onInvite, onStopSharing }: Props) {
  const { speaking, lastOther } = useSpeakers(room);
  const panel = useId();
  const spotlight = useSpotlight(room, participants);
  const alone = participants.length === 1 && screens.length === 0;
  const own = ownViewOf(ownView, layout, alone);
  const tiles = own === "tile" ? participants : participants.filter((participant) => !participant.isLocal);
  const people = useStripOrder(tiles, speaking);
  const { main, rest } = arrange({
    screens: screens.map((screen) => screen.participant.identity),
    people,
    pinned: alone ? null : pinned,
    spotlight: alone ? null : spotlight,
    layout: alone ? "grid" : layout,
    speaker: mainPerson(tiles, lastOther),
  });
  const draw = (item: Item, place: "main" | "rest") => (
    <Place
      key={`${item.kind} ${item.identity}`}
      item={item}
      place={place}
      participants={participants}
      screens={screens}
      pinned={isSame(item, pinned)}
      onPin={onPin}
    />
  );
  return (
    <>
      {sharing && <SharingBar onStop={onStopSharing} />}
      {sharing && <Presenting />}
      {spotlight !== null && <SpotlightBar spotlight={spotlight} participants={participants} pinned={pinned} onPin={onPin} />}
      {main === null ? (
        <Grid
          participants={tiles}
          speaking={speaking}
          screens={screens}
          alone={alone}
          onPin={onPin}
          onInvite={onInvite}
        />
      ) : (
        <div className="focus">
          <div className="focus-large">
            {screens.length > 1 && <ScreenTabs screens={screens} main={main} panel={panel} onPin={onPin} />}
            <div id={panel} className="focus-main" role={screens.length > 1 ? "tabpanel" : undefined}>
              {draw(main, "main")}
              <SpeakingNow participants={participants} speaking={speaking} main={main} />
            </div>
          </div>
          {layout !== "speaker" && <div className="focus-strip">{rest.map((item) => draw(item, "rest"))}</div>}
        </div>
      )}
      {own === "float" && (
        <div className="own-float" data-testid="own-float">
          <Tile participant={room.localParticipant} />
        </div>
      )}
    </>
  );
}

interface PlaceProps {
  item: Item;
  place: "main" | "rest";
  participants: readonly Participant[];
  screens: readonly SharedScreen[];
  pinned: boolean;
  onPin: (item: Item | null) => void;
}

function Place({ item, place, participants, screens, pinned, onPin }: PlaceProps) {
  if (item.kind === "screen") {
    const screen = screens.find((entry) => entry.participant.identity === item.identity);
    return screen && <ScreenTile {...screen} large={place === "main"} pinned={pinned} onPin={onPin} />;
  }
  const participant = participants.find((entry) => entry.identity === item.identity);
  return participant && <Tile participant={participant} pinned={pinned} onPin={onPin} />;
}

function mainPerson(participants: readonly Participant[], lastOther: string | null): string | null {
  const spoke = participants.find((participant) => participant.identity === lastOther);
  const other = spoke ?? participants.find((participant) => !participant.isLocal) ?? participants[0];
  return other?.identity ?? null;
}

function useStripOrder(participants: readonly Participant[], speaking: ReadonlySet<string>): readonly string[] {
  const [order, setOrder] = useState<readonly string[]>([]);
  const present = participants.map((participant) => participant.identity);
  const own = new Set(participants.filter((entry) => entry.isLocal).map((entry) => entry.identity));
  const next = orderStrip(order, present, speaking, own);
  if (next.length !== order.length || next.some((identity, index) => identity !== order[index])) setOrder(next);
  return next;
}

interface SpeakingNowProps {
  participants: readonly Participant[];
  speaking: ReadonlySet<string>;
  main: Item;
}

/** Names who speaks, where their own tile is small or out of sight. */
function SpeakingNow({ participants, speaking, main }: SpeakingNowProps) {
  const { t, language } = useTranslation();
  const names = participants
    .filter((entry) => speaking.has(entry.identity) && !entry.isLocal)
    .filter((entry) => !isSame(main, { kind: "person", identity: entry.identity }))
    .map(displayName);
  if (names.length === 0) return null;
  const list = new Intl.ListFormat(language, { type: "conjunction" }).format(names);
  return (
    <p className="speaking-now" data-testid="speaking-now">
      <AudioLines size={15} aria-hidden />
      <bdi>{t("call.speaking", { count: names.length, names: list })}</bdi>
    </p>
  );
}

function SharingBar({ onStop }: { onStop: () => void }) {
  const { t } = useTranslation();
  return (
    <div className="sharing-bar" data-testid="sharing-bar">
      <MonitorUp size={18} aria-hidden />
      <span>{t("call.yourScreen")}</span>
      <button type="button" className="button small" onClick={onStop}>
        {t("call.stopSharing")}
      </button>
    </div>
  );
}
