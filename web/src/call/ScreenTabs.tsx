import { MonitorUp } from "lucide-react";
import { type KeyboardEvent, useRef } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { SharedScreen } from "../hooks/useScreens";
import { displayName } from "../lib/people";
import type { Item } from "../lib/stage";

interface Props {
  screens: readonly SharedScreen[];
  /** What is large now. */
  main: Item;
  /** The element where it is. */
  panel: string;
  onPin: (item: Item) => void;
}

/** Where several share a screen: whose is large. By keyboard as WAI-ARIA's pattern for tabs has it. */
export function ScreenTabs({ screens, main, panel, onPin }: Props) {
  const { t } = useTranslation("media");
  const list = useRef<HTMLDivElement>(null);
  const chosen = main.kind === "screen" ? screens.findIndex(({ participant }) => participant.identity === main.identity) : -1;

  const choose = (index: number) => {
    const screen = screens[index];
    if (screen === undefined) return;
    onPin({ kind: "screen", identity: screen.participant.identity });
    (list.current?.children[index] as HTMLElement | undefined)?.focus();
  };
  const move = (event: KeyboardEvent<HTMLElement>, index: number) => {
    const isMirrored = getComputedStyle(event.currentTarget).direction === "rtl";
    const steps: Record<string, number> = { ArrowRight: isMirrored ? -1 : 1, ArrowLeft: isMirrored ? 1 : -1 };
    const ends: Record<string, number> = { Home: 0, End: screens.length - 1 };
    const step = steps[event.key];
    const next = step === undefined ? ends[event.key] : (index + step + screens.length) % screens.length;
    if (next === undefined) return;
    event.preventDefault();
    choose(next);
  };

  return (
    <div ref={list} className="screen-tabs" role="tablist" aria-label={t("screens")} data-testid="screen-tabs">
      {screens.map(({ participant }, index) => (
        <button
          key={participant.identity}
          type="button"
          role="tab"
          className="screen-tab"
          data-testid="screen-tab"
          data-name={displayName(participant)}
          aria-selected={index === chosen}
          aria-controls={panel}
          tabIndex={index === Math.max(chosen, 0) ? 0 : -1}
          onClick={() => {
            choose(index);
          }}
          onKeyDown={(event) => {
            move(event, index);
          }}
        >
          <MonitorUp size={15} aria-hidden />
          <bdi>{displayName(participant)}</bdi>
        </button>
      ))}
    </div>
  );
}
