import { Info } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { later } from "../components/later";
import type { FiguresOf } from "./FigureList";

const FigureList = later(async () => (await import("./FigureList")).FigureList);

/** The button that shows them. */
export function TileFigures({ name, publication }: FiguresOf) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        className="icon-button tile-pin tile-info"
        data-testid="tile-info"
        aria-label={t("figures.show", { name })}
        aria-expanded={open}
        onClick={() => {
          setOpen(!open);
        }}
      >
        <Info size={16} aria-hidden />
      </button>
      {open && <FigureList name={name} publication={publication} />}
    </>
  );
}
