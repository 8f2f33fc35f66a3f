import { useMemo } from "react";
import { useTranslation } from "react-i18next";

/** Writes points in time (Unix, milliseconds) as people of the page's language read them. */
export function useTimes(): (atMs: number) => string {
  const { i18n } = useTranslation();
  return useMemo(() => {
    const format = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium", timeStyle: "short" });
    return (atMs: number) => format.format(atMs);
  }, [i18n.language]);
}
