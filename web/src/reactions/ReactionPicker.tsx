import { SmilePlus } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { keyLabel, type Keys, withKey } from "../lib/shortcuts";
import { EMOJI_NAMES, EMOJIS, type EmojiName, type Reactions } from "./reactions";

interface Props {
  reactions: Reactions;
  keys: Keys | null;
  isOpen: boolean;
  /** Without a connection nobody would see them. */
  disabled: boolean;
  onToggle: () => void;
  onClose: () => void;
}

/** The button in the call's bar, and what it opens: stays open, so that one can react more than once. */
export function ReactionPicker({ reactions, keys, isOpen, disabled, onToggle, onClose }: Props) {
  const { t } = useTranslation("media");
  const button = useRef<HTMLButtonElement>(null);
  const whole = useRef<HTMLDivElement>(null);
  const shown = isOpen && !disabled;
  useEffect(() => {
    if (!shown) return;
    const onPress = ({ target }: PointerEvent) => {
      if (target instanceof Node && whole.current?.contains(target) !== true) onClose();
    };
    window.addEventListener("pointerdown", onPress);
    return () => {
      window.removeEventListener("pointerdown", onPress);
    };
  });
  const label = t("reactions.label");
  const shortcut = keyLabel(keys, "react");
  return (
    <div className="reacting" ref={whole}>
      <button
        ref={button}
        type="button"
        className={`round ${shown ? "on" : ""}`}
        data-testid="toggle-reactions"
        aria-label={label}
        aria-expanded={shown}
        aria-keyshortcuts={shortcut}
        data-tip={withKey(label, shortcut)}
        disabled={disabled}
        onClick={onToggle}
      >
        <SmilePlus size={22} aria-hidden />
      </button>
      {shown && (
        <Choices
          onPick={(emoji) => {
            reactions.send(emoji);
          }}
          onClose={() => {
            onClose();
            button.current?.focus();
          }}
        />
      )}
    </div>
  );
}

/** One stop for Tab; arrows go along, Escape closes. */
function Choices({ onPick, onClose }: { onPick: (emoji: EmojiName) => void; onClose: () => void }) {
  const { t } = useTranslation("media");
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.querySelector("button")?.focus();
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      event.preventDefault();
      onClose();
      return;
    }
    const buttons = [...(list.current?.querySelectorAll("button") ?? [])];
    const at = buttons.findIndex((one) => one === document.activeElement);
    const next = nextPlace(event.key, at, buttons.length, document.documentElement.dir === "rtl");
    if (next === null) return;
    event.preventDefault();
    buttons[next]?.focus();
  };
  return (
    <div ref={list} className="reaction-picker" data-testid="reaction-picker" role="toolbar" aria-label={t("reactions.label")} onKeyDown={onKeyDown}>
      {EMOJI_NAMES.map((emoji) => (
        <button
          key={emoji}
          type="button"
          data-testid={`react-${emoji}`}
          aria-label={t(`reactions.names.${emoji}`)}
          title={t(`reactions.names.${emoji}`)}
          onClick={() => {
            onPick(emoji);
          }}
        >
          <span aria-hidden>{EMOJIS[emoji]}</span>
        </button>
      ))}
    </div>
  );
}

/** Where a key leads in a row; null for one that leads nowhere. */
function nextPlace(key: string, at: number, count: number, toLeft: boolean): number | null {
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
  return step === 0 ? null : (at + (toLeft ? -step : step) + count) % count;
}
