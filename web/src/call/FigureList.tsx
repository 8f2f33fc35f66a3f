import type { TrackPublication } from "livekit-client";
import { useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { type Figures, figuresOf, type Sample, toReport } from "../lib/figures";

const INTERVAL_MS = 1000;

export interface FiguresOf {
  name: string;
  /** What is measured; undefined where nothing is sent. */
  publication: TrackPublication | undefined;
}

/** How somebody's picture or, without one, sound comes here, as numbers that help to find a fault. */
export function FigureList({ name, publication }: FiguresOf) {
  const { t, language } = useTranslation();
  const figures = useFigures(publication);
  const round = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  const fine = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const rows = figures === null ? [] : rowsOf(figures, publication, (value) => round.format(value), (value) => fine.format(value));
  return (
    <section className="tile-figures" data-testid="tile-figures" aria-label={t("figures.show", { name })} tabIndex={0}>
      {rows.length === 0 ? (
        <p>{t("figures.none")}</p>
      ) : (
        <dl>
          {rows.map(([key, value]) => (
            <div key={key} data-figure={key}>
              <dt>{t(`figures.${key}`)}</dt>
              <dd>{key === "path" ? t(`figures.paths.${value as NonNullable<Figures["path"]>}`) : value}</dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}

type Row = ["size" | "frames" | "layers" | "rate" | "loss" | "delay" | "codec" | "path", string];

function rowsOf(figures: Figures, publication: TrackPublication | undefined, round: (value: number) => string, fine: (value: number) => string): Row[] {
  const { size, framesPerS, layers, bitsPerS, lossPercent, delayMs, codec, path } = figures;
  const whole = publication?.dimensions;
  const rows: [Row[0], string | null][] = [
    ["size", size && `${size.width} × ${size.height}${whole === undefined || whole.width === size.width ? "" : ` / ${whole.width} × ${whole.height}`}`],
    ["frames", framesPerS === null ? null : `${round(framesPerS)} / s`],
    ["layers", layers === null ? null : round(layers)],
    ["rate", bitsPerS === null ? null : `${round(bitsPerS / 1000)} kbit/s`],
    ["loss", lossPercent === null ? null : `${fine(lossPercent)} %`],
    ["delay", delayMs === null ? null : `${round(delayMs)} ms`],
    ["codec", codec],
    ["path", path],
  ];
  return rows.filter((row): row is Row => row[1] !== null);
}

function useFigures(publication: TrackPublication | undefined): Figures | null {
  const [figures, setFigures] = useState<Figures | null>(null);
  const track = publication?.track;
  useEffect(() => {
    if (track === undefined) return;
    let current = true;
    let before: Sample | null = null;
    const measure = async () => {
      const report = await track.getRTCStatsReport().catch(() => undefined);
      if (!current || report === undefined) return;
      const answer = figuresOf(toReport(report), before);
      before = answer?.sample ?? null;
      setFigures(answer?.figures ?? null);
    };
    void measure();
    const timer = window.setInterval(() => void measure(), INTERVAL_MS);
    return () => {
      current = false;
      window.clearInterval(timer);
      setFigures(null);
    };
  }, [track]);
  return figures;
}
