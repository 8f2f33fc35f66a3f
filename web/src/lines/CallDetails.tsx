import { useTranslation } from "../i18n/useTranslation";
import type { LineFigures, SubscriptionFigures } from "../log/timelines";
import { memberOf } from "../room/RoomLive";
import { formats } from "./formats";
import { LineChart } from "./LineChart";
import { type CallLine, CAUSES, type Mark } from "./lines";
import { pictureOf, sentenceOf, sizeOf } from "./sentences";

interface Props {
  line: CallLine;
  /** Of now. */
  figures: LineFigures | null;
  subscriptions: readonly SubscriptionFigures[];
  /** By member. */
  names: ReadonlyMap<string, string>;
}

const GRADES = ["excellent", "good", "poor", "lost"] as const;

/** One call of one person: in a sentence, as a chart, as what happened, and as tables. */
export function CallDetails({ line, figures, subscriptions, names }: Props) {
  const { t, language } = useTranslation("lines");
  const { t: common } = useTranslation();
  const { time } = formats(language);
  const whose = (identity: string) => names.get(memberOf(identity)) ?? common("event.somebody");
  const label = t("chart", { from: time(line.fromMs), to: time(line.toMs) });
  return (
    <>
      {figures !== null && <Summary figures={figures} />}
      {line.segments.length > 0 ? <LineChart line={line} label={label} /> : <p data-testid="connection-none">{t("none")}</p>}
      <section className="room-section">
        <h3>{t("happened")}</h3>
        <Happened marks={line.marks} whose={whose} />
      </section>
      {subscriptions.length > 0 && <Gets subscriptions={subscriptions} whose={whose} />}
      {line.segments.length > 0 && (
        <details className="line-table" data-testid="connection-table">
          <summary>{t("table")}</summary>
          <Table line={line} label={label} />
        </details>
      )}
    </>
  );
}

function Summary({ figures }: { figures: LineFigures }) {
  const { t, language } = useTranslation("lines");
  const { rate, percent, delay } = formats(language);
  const { sent_bps, estimate_bps, sent_loss, received_bps, received_loss, rtt_ms } = figures;
  const down = { sent: rate(sent_bps), loss: percent(sent_loss) };
  const sentences = [
    estimate_bps === null ? t("noLimit", down) : t("takes", { ...down, estimate: rate(estimate_bps) }),
    ...(received_bps === 0 ? [] : [t("up", { received: rate(received_bps), loss: percent(received_loss) })]),
    ...(rtt_ms === null ? [] : [t("delay", { delay: delay(rtt_ms) })]),
  ];
  return <p data-testid="connection-now">{sentences.join(" ")}</p>;
}

function Happened({ marks, whose }: { marks: readonly Mark[]; whose: (identity: string) => string }) {
  const { t, language } = useTranslation("lines");
  const { time } = formats(language);
  if (marks.length === 0) return <p>{t("nothingHappened")}</p>;
  return (
    <ol className="line-marks" data-testid="connection-marks" tabIndex={0} aria-label={t("happened")}>
      {[...marks].reverse().map((mark, at) => (
        <li key={`${mark.atMs}-${marks.length - at}`} data-mark={mark.what} data-cause={"cause" in mark ? mark.cause : undefined}>
          <time dateTime={new Date(mark.atMs).toISOString()}>{time(mark.atMs)}</time>
          <span>{sentenceOf(t, mark, whose)}</span>
        </li>
      ))}
    </ol>
  );
}

/** What is sent of each track now, and what decided that. */
function Gets({ subscriptions, whose }: { subscriptions: readonly SubscriptionFigures[]; whose: (identity: string) => string }) {
  const { t, language } = useTranslation("lines");
  const { rate, percent } = formats(language);
  return (
    <section className="room-section">
      <h3 id="line-gets">{t("gets")}</h3>
      <div className="line-scroll" tabIndex={0} role="region" aria-labelledby="line-gets">
        <table data-testid="connection-gets">
          <thead>
            <tr>
              {(["what", "size", "sent", "target", "loss", "why"] as const).map((key) => (
                <th key={key} scope="col">
                  {t(key)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {subscriptions.map(({ track_id, of, source, height, sent_bps, target_bps, loss, cause }) => (
              <tr key={track_id} data-source={source}>
                <th scope="row">{pictureOf(t, source, whose(of))}</th>
                <td>{target_bps === 0 ? t("notSent") : sizeOf(height)}</td>
                <td>{rate(sent_bps)}</td>
                <td>{target_bps === null ? "" : rate(target_bps)}</td>
                <td>{percent(loss)}</td>
                <td>{t(`causes.${CAUSES.find((known) => known === cause) ?? "start"}`)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Table({ line, label }: { line: CallLine; label: string }) {
  const { t, language } = useTranslation("lines");
  const { rate, percent, delay, time } = formats(language);
  const points = line.segments.flat();
  return (
    <div className="line-scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <caption>{label}</caption>
        <thead>
          <tr>
            {(["time", "grade", "estimate", "sent", "sentLoss", "received", "receivedLoss", "rtt"] as const).map((key) => (
              <th key={key} scope="col">
                {t(key)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {points.map(({ atMs, grade, line: one }) => {
            const known = GRADES.find((each) => each === grade);
            return (
              <tr key={atMs}>
                <th scope="row">{time(atMs)}</th>
                <td>{known === undefined ? "" : t(`grades.${known}`)}</td>
                <td>{one.estimate_bps === null ? "" : rate(one.estimate_bps)}</td>
                <td>{rate(one.sent_bps)}</td>
                <td>{percent(one.sent_loss)}</td>
                <td>{rate(one.received_bps)}</td>
                <td>{percent(one.received_loss)}</td>
                <td>{one.rtt_ms === null ? "" : delay(one.rtt_ms)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
