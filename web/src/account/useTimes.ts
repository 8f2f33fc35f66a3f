import { useMemo } from "react";
import { useTranslation } from "../i18n/useTranslation";

/** Writes points in time (Unix, milliseconds) as people of the page's language read them. */
export function useTimes(): (atMs: number) => string {
  const { language } = useTranslation();
  return useMemo(() => {
    const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
    return (atMs: number) => format.format(atMs);
  }, [language]);
}
