import { useContext } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { BrandContext } from "./brandContext";

/** What the operator must say of themselves; nothing where they have said nothing. */
export function LegalLinks() {
  const brand = useContext(BrandContext);
  const { t } = useTranslation();
  const links = [
    { key: "imprint", href: brand.imprint },
    { key: "privacy", href: brand.privacy },
    { key: "terms", href: brand.terms },
    { key: "contact", href: brand.mail === "" ? "" : `mailto:${brand.mail}` },
  ] as const;
  const shown = links.filter(({ href }) => href !== "");
  if (shown.length === 0) return null;
  return (
    <nav className="legal-links" aria-label={t("legal.label")} data-testid="legal-links">
      {shown.map(({ key, href }) => (
        <a key={key} href={href} target="_blank" rel="noreferrer">
          {t(`legal.${key}`)}
        </a>
      ))}
    </nav>
  );
}
