import type { Room } from "livekit-client";
import { useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { useCaptions } from "../hooks/useCaptions";
import type { Visit } from "../lib/visit";

/** What is said, over the lower edge of the stage. Programs that read the page hear whole sentences only. */
export function CaptionLines({ room, visit }: { room: Room; visit: Visit }) {
  const { t } = useTranslation("media");
  const { captions } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const lines = useCaptions(room, captions !== "off");
  if (captions === "off") return null;
  return (
    <section className="captions" data-testid="captions" data-size={captions} aria-label={t("captions.label")}>
      <ol aria-hidden>
        {lines.map(({ id, speaker, name, text, final }) => (
          <li key={`${speaker} ${id}`} data-testid="caption" data-final={final}>
            <bdi className="caption-name">{name}</bdi> <bdi>{text}</bdi>
          </li>
        ))}
      </ol>
      <div className="visually-hidden" role="log" aria-label={t("captions.label")}>
        {lines
          .filter(({ final }) => final)
          .map(({ id, speaker, name, text }) => (
            <p key={`${speaker} ${id}`}>{`${name}: ${text}`}</p>
          ))}
      </div>
    </section>
  );
}
