import { useTranslation } from "../i18n/useTranslation";
import { useSize } from "../hooks/useSize";
import { apart, type CallLine, isSwitch, type Mark, pathOf, scalesOf } from "./lines";
import { formats } from "./formats";

const HEIGHT = 240;
const TOP = 26;
const RATES_END = 156;
const LOSS_TOP = 174;
const LOSS_END = 212;
const LABELS = 66;
/** Signs that stand closer to each other are drawn beside each other, as far as that may be from where they belong. */
const SIGN_WIDTH = 13;
const MAX_SHIFT = 2 * SIGN_WIDTH;
const GRID = [0, 0.5, 1];

/** Rates above, losses below, and over both what happened. Time runs in the direction of reading. */
export function LineChart({ line, label }: { line: CallLine; label: string }) {
  const { t, language } = useTranslation("lines");
  const [ref, { width }] = useSize();
  const { rate, percent, time } = formats(language);
  const scales = scalesOf(line);
  const fromRight = document.documentElement.dir === "rtl";
  const inner = Math.max(1, width - LABELS - 8);
  const span = Math.max(1, line.toMs - line.fromMs);
  const along = (share: number) => (fromRight ? 8 + (1 - share) * inner : LABELS + share * inner);
  const x = (atMs: number) => along((atMs - line.fromMs) / span);
  const y = (bps: number) => RATES_END - (Math.min(1, bps / scales.bps) * (RATES_END - TOP));
  const lossY = (loss: number) => LOSS_END - (Math.min(1, loss / scales.loss) * (LOSS_END - LOSS_TOP));
  const edge = fromRight ? width - LABELS + 6 : LABELS - 6;
  const [left, right] = [Math.min(along(0), along(1)), Math.max(along(0), along(1))];
  const ticks = width < 420 ? [0, 1] : [0, 0.5, 1];
  return (
    <figure className="line-chart" ref={ref}>
      {width > 0 && (
        // Where text begins is said here; `direction` would turn numbers round as well.
        <svg width={width} height={HEIGHT} role="img" aria-label={label} data-testid="line-chart" direction="ltr">
          {GRID.map((share) => (
            <g key={share}>
              <line className="grid" x1={left} x2={right} y1={y(share * scales.bps)} y2={y(share * scales.bps)} />
              <text x={edge} y={y(share * scales.bps) + 4} textAnchor={fromRight ? "start" : "end"}>
                {rate(share * scales.bps)}
              </text>
            </g>
          ))}
          {[0, 1].map((share) => (
            <g key={share}>
              <line className="grid" x1={left} x2={right} y1={lossY(share * scales.loss)} y2={lossY(share * scales.loss)} />
              <text x={edge} y={lossY(share * scales.loss) + 4} textAnchor={fromRight ? "start" : "end"}>
                {percent(share * scales.loss)}
              </text>
            </g>
          ))}
          {ticks.map((share) => (
            <text key={share} x={along(share)} y={HEIGHT - 8} textAnchor={anchorOf(share, fromRight)}>
              {time(line.fromMs + share * span)}
            </text>
          ))}
          {apart(line.marks.map(({ atMs }) => x(atMs)), fromRight ? -SIGN_WIDTH : SIGN_WIDTH, MAX_SHIFT).map((shift, at) => {
            const mark = line.marks[at];
            return mark && <MarkSign key={`${mark.atMs}-${at}`} mark={mark} x={x(mark.atMs)} shift={shift} />;
          })}
          <path className="curve received" d={pathOf(line.segments, ({ received_bps }) => received_bps, x, y)} />
          <path className="curve estimate" d={pathOf(line.segments, ({ estimate_bps }) => estimate_bps, x, y)} />
          <path className="curve sent" d={pathOf(line.segments, ({ sent_bps }) => sent_bps, x, y)} />
          <path className="curve received-loss" d={pathOf(line.segments, ({ received_loss }) => received_loss, x, lossY)} />
          <path className="curve sent-loss" d={pathOf(line.segments, ({ sent_loss }) => sent_loss, x, lossY)} />
        </svg>
      )}
      <figcaption aria-hidden>
        {(["sent", "estimate", "received", "sentLoss", "receivedLoss"] as const).map((key) => (
          <span key={key}>
            <svg width="22" height="8">
              <line className={`curve ${CLASSES[key]}`} x1="0" x2="22" y1="4" y2="4" />
            </svg>
            {t(key)}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

const CLASSES = { sent: "sent", estimate: "estimate", received: "received", sentLoss: "sent-loss", receivedLoss: "received-loss" };

function anchorOf(share: number, fromRight: boolean): "start" | "middle" | "end" {
  if (share === 0.5) return "middle";
  return (share === 0) === fromRight ? "end" : "start";
}

/** Shapes, so that it does not take colours to tell them apart. */
function MarkSign({ mark, x, shift }: { mark: Mark; x: number; shift: number }) {
  const kind = isSwitch(mark) ? `${mark.what} ${mark.cause}` : mark.what;
  return (
    <g className={`mark ${kind}`} data-mark={mark.what} transform={`translate(${x.toFixed(1)} 0)`}>
      <line y1={TOP - 6} y2={LOSS_END} />
      <path d={SIGNS[mark.what]} transform={`translate(${shift} 0)`} />
    </g>
  );
}

const UP = "M-6 18L6 18L0 7Z";
const DOWN = "M-6 7L6 7L0 18Z";
const PAUSE = "M-5 7h4v11h-4ZM1 7h4v11h-4Z";
const ROUND = "M-5.5 12.5a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0Z";
const CROSS = "M-6 8l2 -2l4 4l4 -4l2 2l-4 4l4 4l-2 2l-4 -4l-4 4l-2 -2l4 -4Z";
const SIGNS: Record<Mark["what"], string> = {
  lowered: DOWN, raised: UP, paused: PAUSE, resumed: ROUND, came: ROUND, back: ROUND, left: CROSS, away: CROSS, broke: CROSS,
};
