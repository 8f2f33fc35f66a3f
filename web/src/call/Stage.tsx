import { useTracks } from "@livekit/components-react";
import { type Participant, type Room, Track } from "livekit-client";
import { ChevronLeft, ChevronRight, Link2, MonitorUp } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useSize } from "../hooks/useSize";
import { useSpeakers } from "../hooks/useSpeakers";
import { layoutGrid, orderForPages } from "../lib/grid";
import type { Layout } from "../lib/prefs";
import { ScreenTile, Tile } from "./Tile";

const GAP = 12;
const NARROW = 600;
const MIN_TILE = { narrow: 150, wide: 220 };

interface Props {
  room: Room;
  participants: readonly Participant[];
  layout: Layout;
  onInvite: () => void;
  onStopSharing: () => void;
}

/** Everybody's pictures: a shared screen or a speaker large with the rest beside it, or all in a grid. */
export function Stage({ room, participants, layout, onInvite, onStopSharing }: Props) {
  const screens = useTracks([Track.Source.ScreenShare], { room, onlySubscribed: false });
  const { speaking, lastOther } = useSpeakers(room);
  const [pinned, setPinned] = useState<string | null>(null);

  const ownScreen = screens.some((screen) => screen.participant.isLocal);
  const screen = screens.find((entry) => !entry.participant.isLocal);
  const pinnedPerson = participants.find((participant) => participant.identity === pinned);
  const alone = participants.length === 1 && screen === undefined;

  let main: React.ReactNode = null;
  let rest = participants;
  if (pinnedPerson === undefined && screen !== undefined) {
    main = <ScreenTile participant={screen.participant} publication={screen.publication} />;
  } else if (pinnedPerson !== undefined || (layout === "speaker" && !alone)) {
    const person = pinnedPerson ?? mainPerson(participants, lastOther);
    main = <Tile participant={person} pinned={person === pinnedPerson} onPin={setPinned} />;
    rest = participants.filter((participant) => participant !== person);
  }

  return (
    <>
      {ownScreen && <SharingBar onStop={onStopSharing} />}
      {main === null ? (
        <Grid participants={participants} speaking={speaking} onPin={setPinned} alone={alone} onInvite={onInvite} />
      ) : (
        <div className="focus">
          <div className="focus-main">{main}</div>
          <div className="focus-strip">
            {rest.map((participant) => (
              <Tile key={participant.identity} participant={participant} onPin={setPinned} />
            ))}
          </div>
        </div>
      )}
    </>
  );
}

function mainPerson(participants: readonly Participant[], lastOther: string | null): Participant {
  const spoke = participants.find((participant) => participant.identity === lastOther);
  const other = spoke ?? participants.find((participant) => !participant.isLocal) ?? participants[0];
  if (other === undefined) throw new Error("a call has at least oneself in it");
  return other;
}

interface GridProps {
  participants: readonly Participant[];
  speaking: ReadonlySet<string>;
  onPin: (identity: string | null) => void;
  alone: boolean;
  onInvite: () => void;
}

function Grid({ participants, speaking, onPin, alone, onInvite }: GridProps) {
  const [ref, size] = useSize();
  const [page, setPage] = useState(0);
  const narrow = size.width < NARROW;
  const grid = layoutGrid(participants.length, {
    ...size,
    gap: GAP,
    minTileWidth: narrow ? MIN_TILE.narrow : MIN_TILE.wide,
  });
  const ordered = useOrder(participants, speaking, grid.perPage);
  const shown = Math.min(page, grid.pages - 1);
  const tiles = ordered.slice(shown * grid.perPage, (shown + 1) * grid.perPage);
  const tileStyle = { width: grid.tileWidth, height: grid.tileHeight };
  const rowWidth = grid.columns * (grid.tileWidth + GAP) - GAP;
  return (
    <div className="grid-area">
      <div className="grid" ref={ref}>
        {size.width > 0 && (
          <div className="grid-tiles" style={{ width: rowWidth, gap: GAP }}>
            {tiles.map((participant) => (
              <Tile
                key={participant.identity}
                participant={participant}
                style={tileStyle}
                onPin={participants.length > 1 ? onPin : undefined}
              />
            ))}
          </div>
        )}
        {alone && <Alone onInvite={onInvite} />}
      </div>
      {grid.pages > 1 && <Pager page={shown} pages={grid.pages} onPage={setPage} />}
    </div>
  );
}

function useOrder(participants: readonly Participant[], speaking: ReadonlySet<string>, perPage: number): Participant[] {
  const [order, setOrder] = useState<readonly string[]>([]);
  const byIdentity = new Map(participants.map((participant) => [participant.identity, participant]));
  const spoke = new Map(participants.map((entry) => [entry.identity, entry.lastSpokeAt?.getTime() ?? 0]));
  const own = new Set(participants.filter((entry) => entry.isLocal).map((entry) => entry.identity));
  const next = orderForPages(order, [...byIdentity.keys()], perPage, spoke, speaking, own);
  if (next.length !== order.length || next.some((identity, index) => identity !== order[index])) setOrder(next);
  return next.map((identity) => byIdentity.get(identity)).filter((participant) => participant !== undefined);
}

function Pager({ page, pages, onPage }: { page: number; pages: number; onPage: (page: number) => void }) {
  const { t } = useTranslation();
  return (
    <nav className="pager" data-testid="pager" aria-label={t("call.page", { page: page + 1, pages })}>
      <button
        type="button"
        className="icon-button"
        aria-label={t("call.previousPage")}
        disabled={page === 0}
        onClick={() => {
          onPage(page - 1);
        }}
      >
        <ChevronLeft size={20} aria-hidden />
      </button>
      <span>
        {page + 1} / {pages}
      </span>
      <button
        type="button"
        className="icon-button"
        aria-label={t("call.nextPage")}
        disabled={page === pages - 1}
        onClick={() => {
          onPage(page + 1);
        }}
      >
        <ChevronRight size={20} aria-hidden />
      </button>
    </nav>
  );
}

function Alone({ onInvite }: { onInvite: () => void }) {
  const { t } = useTranslation();
  return (
    <div className="alone">
      <div>
        <strong>{t("call.alone")}</strong>
        <span>{t("call.aloneHint")}</span>
      </div>
      <button type="button" className="button primary" onClick={onInvite}>
        <Link2 size={17} aria-hidden />
        {t("call.invite")}
      </button>
    </div>
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
