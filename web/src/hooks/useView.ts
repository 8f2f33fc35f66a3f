import { useCallback, useState, useSyncExternalStore } from "react";
import type { PanelName } from "../call/Panel";
import type { Layout } from "../lib/prefs";
import type { Visit } from "../lib/visit";

export interface View {
  panel: PanelName | null;
  layout: Layout;
  /** Chat messages that have arrived and were not seen. */
  unread: number;
  toggleChat: () => void;
  togglePeople: () => void;
  closePanel: () => void;
  toggleLayout: () => void;
}

/** What is open and how the pictures are laid out. `received` counts the chat messages that have arrived. */
export function useView(visit: Visit, received: number): View {
  const { panel, layout } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const [seen, setSeen] = useState(0);

  // Messages that arrive while the chat is open are seen at once.
  if (panel === "chat" && seen !== received) setSeen(received);

  const toggle = (name: PanelName) => () => {
    visit.note({ panel: panel === name ? null : name });
  };
  const closePanel = useCallback(() => {
    visit.note({ panel: null });
  }, [visit]);
  const toggleLayout = () => {
    visit.choose({ layout: layout === "grid" ? "speaker" : "grid" });
  };
  return {
    panel,
    layout,
    unread: received - seen,
    toggleChat: toggle("chat"),
    togglePeople: toggle("people"),
    closePanel,
    toggleLayout,
  };
}
