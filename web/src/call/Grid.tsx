import type { Participant } from "livekit-client";
import { ChevronLeft, ChevronRight, Link2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { SharedScreen } from "../hooks/useScreens";
import { useSize } from "../hooks/useSize";
import { layoutGrid, orderForPages } from "../lib/grid";
import type { Item } from "../lib/stage";
import { ScreenTile, Tile } from "./Tile";

const GAP = 12;
const NARROW = 600;
const MIN_TILE = { narrow: 150, wide: 220 };

interface GridProps {
  participants: readonly Participant[];
  speaking: ReadonlySet<string>;
  screens: readonly SharedScreen[];
  alone: boolean;
  onPin: (item: Item | null) => void;
  onInvite: () => void;
}

/** Everything in tiles of one size, over pages when there is much; shared screens first. */
export function Grid({ participants, speaking, screens, alone, onPin, onInvite }: GridProps) {
  const [ref, size] = useSize();
  const [page, setPage] = useState(0);
  const narrow = size.width < NARROW;
  const grid = layoutGrid(participants.length + screens.length, {
    ...size,
    gap: GAP,
    minTileWidth: narrow ? MIN_TILE.narrow : MIN_TILE.wide,
  });
  const people = useOrder(participants, speaking, Math.max(1, grid.perPage - screens.length));
  const shown = Math.min(page, grid.pages - 1);
  const style = { width: grid.tileWidth, height: grid.tileHeight };
  const tiles = [
    ...screens.map((screen) => (
      <ScreenTile key={`screen ${screen.participant.identity}`} {...screen} style={style} onPin={onPin} />
    )),
    ...people.map((participant) => (
      <Tile key={participant.identity} participant={participant} style={style} onPin={alone ? undefined : onPin} />
    )),
  ].slice(shown * grid.perPage, (shown + 1) * grid.perPage);
  return (
    <div className="grid-area">
      <div className="grid" ref={ref}>
        {size.width > 0 && (
          <div className="grid-tiles" style={{ width: grid.columns * (grid.tileWidth + GAP) - GAP, gap: GAP }}>
            {tiles}
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
        <ChevronLeft className="points-on" size={20} aria-hidden />
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
        <ChevronRight className="points-on" size={20} aria-hidden />
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
