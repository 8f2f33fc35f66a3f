import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { copyText } from "../lib/copy";

interface CopyProps {
  text: string;
  label: string;
  testId: string;
}

/** Says by itself whether it worked; where the browser does not copy, the text is shown. */
export function CopyButton({ text, label, testId }: CopyProps) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState<boolean | null>(null);
  return (
    <>
      <button
        type="button"
        className="button small"
        data-testid={testId}
        data-text={text}
        onClick={() => void copyText(text).then(setCopied)}
      >
        {copied === true ? <Check size={16} aria-hidden /> : <Copy size={16} aria-hidden />}
        <span role="status">{copied === true ? t("call.copied") : label}</span>
      </button>
      {copied === false && <bdi className="room-chip">{text}</bdi>}
    </>
  );
}
