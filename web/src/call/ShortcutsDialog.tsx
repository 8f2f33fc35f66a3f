import { useTranslation } from "../i18n/useTranslation";
import { Dialog } from "../components/Dialog";
import type { Visit } from "../lib/visit";
import { ShortcutList } from "./ShortcutList";

/** What keys do in the call. */
export function ShortcutsDialog({ visit, onClose }: { visit: Visit; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog title={t("settings.shortcuts")} testId="shortcuts" onClose={onClose}>
      <ShortcutList visit={visit} />
    </Dialog>
  );
}
