import { useCallback, useState, useSyncExternalStore } from "react";
import type { PanelName } from "../call/Panel";
import type { Layout } from "../lib/prefs";
import type { Visit } from "../lib/visit";

export interface View {
  panel: PanelName | null;
  layout: Layout;
  /** Whether single keys are shortcuts. */
  shortcuts: boolean;
  /** Chat messages that have arrived and were not seen. */
  unread: number;
  toggleChat: () => void;
  togglePeople: () => void;
  closePanel: () => void;
  toggleLayout: () => void;
}

/**
 * What is open and how the pictures are laid out. `received` counts the chat messages that have arrived. While somebody
 * shares a screen (`watching`) it is large; the grid can be chosen for as long, and what is remembered stays.
 */
export function useView(visit: Visit, received: number, watching: boolean): View {
  const { panel, shortcuts, layout: remembered } = useSyncExternalStore(visit.subscribe, visit.snapshot);
  const [seen, setSeen] = useState(0);
  const [share, setShare] = useState<{ watching: boolean; layout: Layout }>({ watching, layout: "speaker" });
  if (share.watching !== watching) setShare({ watching, layout: "speaker" });
  const layout = watching ? share.layout : remembered;

  // Messages that arrive while the chat is open are seen at once.
  if (panel === "chat" && seen !== received) setSeen(received);

  const toggle = (name: PanelName) => () => {
    visit.note({ panel: panel === name ? null : name });
  };
  const closePanel = useCallback(() => {
    visit.note({ panel: null });
  }, [visit]);
  const toggleLayout = () => {
    const next = layout === "grid" ? "speaker" : "grid";
    if (watching) setShare({ watching, layout: next });
    else visit.choose({ layout: next });
  };
  return {
    panel,
    layout,
    shortcuts,
    unread: received - seen,
    toggleChat: toggle("chat"),
    togglePeople: toggle("people"),
    closePanel,
    toggleLayout,
  };
}
