import { useCallback, useState, useSyncExternalStore } from "react";
import type { PanelName } from "../call/Panel";
import type { Layout, OwnView } from "../lib/prefs";
import type { Keys } from "../lib/shortcuts";
import { layoutOf } from "../lib/stage";
import type { Visit } from "../lib/visit";

export interface View {
  panel: PanelName | null;
  layout: Layout;
  ownView: OwnView;
  /** Whether the cameras of others are left away. */
  audioOnly: boolean;
  /** Single-key shortcuts; null: they are off. */
  keys: Keys | null;
  /** Chat messages that have arrived and were not seen. */
  unread: number;
  toggleChat: () => void;
  togglePeople: () => void;
  closePanel: () => void;
  toggleLayout: () => void;
}

/**
 * What is open and how the pictures are laid out. `received` counts the chat messages that have arrived. While somebody
 * shares a screen (`watching`) the button changes the layout for as long, and what is remembered stays.
 */
export function useView(visit: Visit, received: number, watching: boolean): View {
  const { panel, shortcuts, keys, stage, ownView, audioOnly } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const [seen, setSeen] = useState(0);
  const [share, setShare] = useState<{ watching: boolean; layout: Layout | null }>({ watching, layout: null });
  if (share.watching !== watching) setShare({ watching, layout: null });
  const layout = share.layout ?? layoutOf(stage, watching);

  // Messages that arrive while the chat is open are seen at once.
  if (panel === "chat" && seen !== received) setSeen(received);

  const toggle = (name: PanelName) => () => {
    visit.note({ panel: panel === name ? null : name });
  };
  const closePanel = useCallback(() => {
    visit.note({ panel: null });
  }, [visit]);
  const toggleLayout = () => {
    const next = layout === "grid" ? "sidebar" : "grid";
    if (watching) setShare({ watching, layout: next });
    else visit.choose({ stage: next === "grid" ? "auto" : next });
  };
  return {
    panel,
    layout,
    ownView,
    audioOnly,
    keys: shortcuts ? keys : null,
    unread: received - seen,
    toggleChat: toggle("chat"),
    togglePeople: toggle("people"),
    closePanel,
    toggleLayout,
  };
}
