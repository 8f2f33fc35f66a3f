/** How many tiles fit, and how large: pure geometry of the call screen. */

export interface GridLayout {
  columns: number;
  rows: number;
  perPage: number;
  pages: number;
  tileWidth: number;
  tileHeight: number;
}

export interface GridSpace {
  width: number;
  height: number;
  gap: number;
  /** Narrowest tile that is still worth looking at, in CSS pixels. */
  minTileWidth: number;
}

const WIDE = 16 / 9;
const UPRIGHT = 4 / 5;

/** The largest equal tiles for `count` people; more than fit at the minimum width go to further pages. */
export function layoutGrid(count: number, space: GridSpace): GridLayout {
  const tiles = Math.max(1, count);
  const columnsThatFit = Math.max(1, Math.floor((space.width + space.gap) / (space.minTileWidth + space.gap)));
  let perPage = tiles;
  let best = bestFit(perPage, space, columnsThatFit);
  while (best.tileWidth < space.minTileWidth && perPage > 1) {
    perPage -= 1;
    best = bestFit(perPage, space, columnsThatFit);
  }
  return { ...best, perPage, pages: Math.ceil(tiles / perPage) };
}

function bestFit(count: number, space: GridSpace, maxColumns: number) {
  let best = { columns: 1, rows: count, tileWidth: 0, tileHeight: 0 };
  for (let columns = 1; columns <= Math.min(count, maxColumns); columns++) {
    const rows = Math.ceil(count / columns);
    const size = tileSize(columns, rows, space);
    if (size.tileWidth * size.tileHeight > best.tileWidth * best.tileHeight) best = { columns, rows, ...size };
  }
  return best;
}

// Tiles fill their cell between an upright and a wide shape; beyond that, space is left free.
function tileSize(columns: number, rows: number, space: GridSpace) {
  const cellWidth = Math.max(0, (space.width - space.gap * (columns - 1)) / columns);
  const cellHeight = Math.max(0, (space.height - space.gap * (rows - 1)) / rows);
  return {
    tileWidth: Math.floor(Math.min(cellWidth, cellHeight * WIDE)),
    tileHeight: Math.floor(Math.min(cellHeight, cellWidth / UPRIGHT)),
  };
}

/**
 * The order of tiles over pages. Everybody keeps their place; whoever speaks on a later page changes places with
 * the one on the first page who has been silent longest. `lastSpokeMs` holds 0 for people who never spoke.
 */
export function orderForPages(
  previous: readonly string[],
  present: readonly string[],
  perPage: number,
  lastSpokeMs: ReadonlyMap<string, number>,
  speaking: ReadonlySet<string>,
  fixed: ReadonlySet<string>,
): string[] {
  const here = new Set(present);
  const kept = previous.filter((id) => here.has(id));
  const known = new Set(kept);
  const order = [...kept, ...present.filter((id) => !known.has(id))];
  for (let index = perPage; index < order.length; index++) {
    const id = order[index];
    if (id === undefined || !speaking.has(id)) continue;
    const place = quietestPlace(order.slice(0, perPage), lastSpokeMs, speaking, fixed);
    const quiet = order[place];
    if (quiet === undefined) break;
    order[place] = id;
    order[index] = quiet;
  }
  return order;
}

function quietestPlace(
  page: readonly string[],
  lastSpokeMs: ReadonlyMap<string, number>,
  speaking: ReadonlySet<string>,
  fixed: ReadonlySet<string>,
): number {
  let place = -1;
  let oldest = Number.POSITIVE_INFINITY;
  page.forEach((id, index) => {
    const spoke = lastSpokeMs.get(id) ?? 0;
    if (fixed.has(id) || speaking.has(id)) return;
    // Of equally silent people the last one gives way, so that the front of the page is calm.
    if (spoke <= oldest) {
      oldest = spoke;
      place = index;
    }
  });
  return place;
}
