import { type CSSProperties, memo, type PointerEvent, useEffect, useRef, useState } from "react";
import { avatarColour } from "../lib/people";
import type { SheetView } from "./drawings";
import type { Pen } from "./pen";
import { type Box, pictureBox, toPoint } from "./picture";
import { SCALE, type Stroke } from "./sheet";

interface Props {
  view: SheetView;
  /** How somebody is called; null for oneself, who needs no name at the pen. */
  nameOf: (identity: string) => string | null;
  /** Null while one does not draw. */
  penDown: (() => Pen) | null;
}

/** Between two points of a stroke, in ten thousandths of the picture: a hand that rests makes none. */
const LEAST_STEP = 12;

/** What is drawn on the picture beside it, whose place and size it takes; and the paper on which one draws oneself. */
export function Layer({ view, nameOf, penDown }: Props) {
  const [layer, setLayer] = useState<HTMLDivElement | null>(null);
  const box = usePictureBox(layer);
  const pointer = usePointer(box, penDown);
  return (
    <div
      ref={setLayer}
      className="draw-layer"
      data-testid="draw-layer"
      data-drawing={penDown !== null}
      onDoubleClick={(event) => {
        // Two dots are no wish to pin the picture.
        if (penDown !== null) event.stopPropagation();
      }}
      {...pointer}
    >
      {box !== null && (
        <div className="draw-picture" style={placeOf(box)}>
          <svg viewBox={`0 0 ${SCALE} ${SCALE}`} preserveAspectRatio="none" aria-hidden>
            {view.strokes.map((stroke) => (
              <Drawn key={`${stroke.by} ${stroke.id}`} stroke={stroke} width={Math.max(2, box.height / 160)} />
            ))}
          </svg>
          {lastOfEach(view.strokes).map((stroke) => (
            <PenName key={stroke.by} stroke={stroke} name={nameOf(stroke.by)} />
          ))}
        </div>
      )}
    </div>
  );
}

/** From the left, also where lines run from right to left: the picture is not mirrored either. */
const placeOf = ({ x, y, width, height }: Box): CSSProperties => ({ left: x, top: y, width, height });

function usePictureBox(layer: HTMLElement | null): Box | null {
  const [box, setBox] = useState<Box | null>(null);
  useEffect(() => {
    const video = layer?.parentElement?.querySelector("video") ?? null;
    if (layer === null || video === null) return;
    const measure = () => {
      const next = pictureBox({ width: layer.clientWidth, height: layer.clientHeight }, { width: video.videoWidth, height: video.videoHeight });
      setBox((old) => (JSON.stringify(old) === JSON.stringify(next) ? old : next));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(layer);
    video.addEventListener("resize", measure);
    video.addEventListener("loadedmetadata", measure);
    return () => {
      observer.disconnect();
      video.removeEventListener("resize", measure);
      video.removeEventListener("loadedmetadata", measure);
    };
  }, [layer]);
  return box;
}

/** One stroke at a time, of a mouse, a pen or the first finger. */
function usePointer(box: Box | null, penDown: (() => Pen) | null) {
  const held = useRef<{ pen: Pen; id: number; last: readonly [number, number] } | null>(null);
  const lift = () => {
    held.current?.pen.end();
    held.current = null;
  };
  // Whoever may not draw any more has lifted the pen.
  useEffect(() => {
    if (penDown === null) {
      held.current?.pen.end();
      held.current = null;
    }
  }, [penDown]);
  useEffect(() => lift, []);
  if (penDown === null || box === null) return {};
  const pointOf = ({ clientX, clientY }: { clientX: number; clientY: number }, target: Element) => {
    const { left, top } = target.getBoundingClientRect();
    return toPoint(clientX - left, clientY - top, box);
  };
  return {
    onPointerDown: (event: PointerEvent<HTMLDivElement>) => {
      if (event.button !== 0 || !event.isPrimary) return;
      lift();
      event.currentTarget.setPointerCapture(event.pointerId);
      const last = pointOf(event, event.currentTarget);
      held.current = { pen: penDown(), id: event.pointerId, last };
      held.current.pen.move(last);
    },
    onPointerMove: (event: PointerEvent<HTMLDivElement>) => {
      const { current } = held;
      if (current?.id !== event.pointerId) return;
      const points: number[] = [];
      for (const one of coalesced(event.nativeEvent)) {
        const next = pointOf(one, event.currentTarget);
        if (Math.max(Math.abs(next[0] - current.last[0]), Math.abs(next[1] - current.last[1])) < LEAST_STEP) continue;
        points.push(...next);
        current.last = next;
      }
      if (points.length > 0) current.pen.move(points);
    },
    onPointerUp: lift,
    onPointerCancel: lift,
  };
}

/** All places since the event before; Safari knows only the last one. */
function coalesced(event: globalThis.PointerEvent): readonly globalThis.PointerEvent[] {
  const all = "getCoalescedEvents" in event ? event.getCoalescedEvents() : [];
  return all.length > 0 ? all : [event];
}

function pathOf(points: readonly number[]): string {
  const places: string[] = [];
  for (let at = 0; at + 1 < points.length; at += 2) places.push(`${points[at] ?? 0} ${points[at + 1] ?? 0}`);
  // A line to where it begins is a dot.
  return `M${places.join("L")}${places.length === 1 ? "h0" : ""}`;
}

const Drawn = memo(function Drawn({ stroke, width }: { stroke: Stroke; width: number }) {
  const path = pathOf(stroke.points);
  const fades = stroke.done && !stroke.stays;
  return (
    <g className={`drawn pen-${avatarColour(stroke.by)}${fades ? " fades" : ""}`} data-testid="stroke" data-by={stroke.by} data-done={stroke.done}>
      <path className="drawn-edge" d={path} strokeWidth={width * 1.8} />
      <path d={path} strokeWidth={width} />
    </g>
  );
});

/** The newest stroke of everybody who draws now or has a moment ago. */
function lastOfEach(strokes: readonly Stroke[]): Stroke[] {
  const found = new Map<string, Stroke>();
  for (const stroke of strokes) if (!stroke.done || !stroke.stays) found.set(stroke.by, stroke);
  return [...found.values()];
}

function PenName({ stroke, name }: { stroke: Stroke; name: string | null }) {
  const [x, y] = stroke.points.slice(-2);
  if (name === null || x === undefined || y === undefined) return null;
  const percent = (value: number) => `${(100 * value) / SCALE}%`;
  return (
    <bdi
      className={`pen-name colour-${avatarColour(stroke.by)}${stroke.done ? " fades" : ""}`}
      data-testid="pen-name"
      aria-hidden
      style={{ left: percent(x), top: percent(y), transform: `translate(${x > SCALE * 0.8 ? "-100%" : "0"}, ${y > SCALE * 0.9 ? "-150%" : "50%"})` }}
    >
      {name}
    </bdi>
  );
}
