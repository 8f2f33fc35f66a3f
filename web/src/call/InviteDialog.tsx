import { Share2 } from "lucide-react";
import { useMemo } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { encode } from "uqr";
import { CopyButton } from "../components/CopyButton";
import { Dialog } from "../components/Dialog";

interface Props {
  link: string;
  roomName: string;
  onClose: () => void;
}

/** The room's link for those who are near: as a picture for their camera, and by way of other apps. */
export function InviteDialog({ link, roomName, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Dialog title={t("invite.title")} testId="invite" onClose={onClose}>
      <QrCode text={link} label={t("invite.code")} />
      <p className="invite-hint">{t("invite.hint")}</p>
      <bdi className="room-chip invite-link">{link}</bdi>
      <div className="account-actions">
        <CopyButton text={link} label={t("call.invite")} testId="copy-link" />
        {"share" in navigator && (
          <button
            type="button"
            className="button small"
            data-testid="share-link"
            onClick={() => {
              // Who closes the list of apps again has decided so.
              navigator.share({ title: roomName, url: link }).catch(() => undefined);
            }}
          >
            <Share2 size={16} aria-hidden />
            {t("invite.share")}
          </button>
        )}
      </div>
    </Dialog>
  );
}

/** Black on white in every theme: many readers know no other. */
function QrCode({ text, label }: { text: string; label: string }) {
  const { size, path } = useMemo(() => {
    const { data, size } = encode(text, { ecc: "M", border: 4 });
    const dark = data.flatMap((row, y) => row.flatMap((on, x) => (on ? [`M${x} ${y}h1v1h-1z`] : [])));
    return { size, path: dark.join("") };
  }, [text]);
  return (
    <svg className="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges" data-testid="qr">
      <rect width={size} height={size} fill="white" />
      <path d={path} fill="black" />
    </svg>
  );
}
