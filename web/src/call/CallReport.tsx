import type { Room } from "livekit-client";
import { Download, Mail } from "lucide-react";
import { useContext, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { BrandContext } from "../components/brandContext";
import { CopyButton } from "../components/CopyButton";
import { saveAs } from "../lib/saveAs";
import { memberOf, useRoomLive } from "../room/RoomLive";
import { measureCall } from "./callReport";

/** A report of the call for whoever runs the server: one reads it before it goes anywhere. */
export function CallReport({ room }: { room: Room }) {
  const { t } = useTranslation();
  const { mail } = useContext(BrandContext);
  const live = useRoomLive();
  const [isMeasuring, setMeasuring] = useState(false);
  const [report, setReport] = useState<string | null>(null);

  const make = async () => {
    setMeasuring(true);
    const found = await live?.api.callTimelines(memberOf(room.localParticipant.identity), true).catch(() => undefined);
    setReport(await measureCall(room, found?.timelines ?? []));
    setMeasuring(false);
  };

  return (
    <section className="call-report">
      <button type="button" className="button small" data-testid="make-report" aria-busy={isMeasuring} disabled={isMeasuring} onClick={() => void make()}>
        {t("report.make")}
      </button>
      <p className="hint">{t("report.hint")}</p>
      {report !== null && (
        <>
          <pre tabIndex={0} aria-label={t("report.make")} data-testid="call-report" dir="ltr">
            {report}
          </pre>
          <div className="call-report-ways">
            <CopyButton text={report} label={t("check.copy")} testId="copy-call-report" />
            <button
              type="button"
              className="button small"
              data-testid="save-call-report"
              onClick={() => {
                saveAs(new Blob([report], { type: "text/plain" }), "call-report.txt");
              }}
            >
              <Download size={16} aria-hidden />
              {t("report.save")}
            </button>
            {mail !== "" && (
              <a className="button small" data-testid="mail-call-report" href={`mailto:${mail}?body=${encodeURIComponent(report)}`}>
                <Mail size={16} aria-hidden />
                {t("report.mail")}
              </a>
            )}
          </div>
        </>
      )}
    </section>
  );
}
