import { useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { EMOJIS, type Reaction, type Reactions } from "./reactions";

/** Who reacts with what, over the lower edge of the stage: whether their tile is there or not. Each kind is said once. */
export function ReactionLines({ reactions }: { reactions: Reactions }) {
  const { t } = useTranslation("media");
  const { t: call } = useTranslation();
  const shown = useSyncExternalStore(reactions.subscribe, reactions.snapshot);
  const nameOf = ({ local, name }: Reaction) => (local ? call("call.nameYou", { name }) : name);
  return (
    <div className="reactions" data-testid="reactions">
      <ol aria-hidden>
        {shown.map((one) => (
          <li key={one.key} data-testid="reaction-line" data-emoji={one.emoji} data-identity={one.identity} data-count={one.count}>
            <span key={one.count} className="reaction-emoji">
              {EMOJIS[one.emoji]}
            </span>
            <bdi>{nameOf(one)}</bdi>
            {one.count > 1 && <b>×{one.count}</b>}
          </li>
        ))}
      </ol>
      <div className="visually-hidden" role="log" aria-live="polite" aria-label={t("reactions.label")} data-testid="reactions-said">
        {shown.map((one) => (
          <p key={one.key}>{t("reactions.said", { name: nameOf(one), what: t(`reactions.names.${one.emoji}`) })}</p>
        ))}
      </div>
    </div>
  );
}
