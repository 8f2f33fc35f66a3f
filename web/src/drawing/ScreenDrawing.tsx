import type { Participant, Room } from "livekit-client";
import { PenLine } from "lucide-react";
import { useContext, useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { RoomContext } from "../hooks/roomContext";
import { displayName } from "../lib/people";
import { Layer } from "./Layer";
import { useDrawings, useSheet } from "./useDrawings";
import "../styles/drawing.css";

interface Props {
  presenter: Participant;
  /** The sid of the shared track. */
  share: string;
  /** Whether the picture is large enough to draw on. */
  large: boolean;
}

/** What is drawn on somebody's shared screen, and the pen for those whom they let draw. */
export function ScreenDrawing(props: Props) {
  const room = useContext(RoomContext);
  return room === null ? null : <OnScreen {...props} room={room} />;
}

function OnScreen({ room, presenter, share, large }: Props & { room: Room }) {
  const { t } = useTranslation("drawing");
  const drawings = useDrawings(room);
  const { identity } = presenter;
  const view = useSheet(drawings, identity, share);
  const [wanted, setWanted] = useState(false);
  useEffect(() => {
    drawings.follow(identity, share);
  }, [drawings, identity, share]);
  const drawing = wanted && large && view.mayDraw;
  useEscape(drawing, () => {
    setWanted(false);
  });
  const name = displayName(presenter);
  const label = drawing ? t("pen.down") : t("pen.up", { name });
  return (
    <>
      <Layer view={view} nameOf={namesOf(room)} penDown={drawing ? () => drawings.penDown(identity, share) : null} />
      {large && view.mayDraw && (
        <button
          type="button"
          className="icon-button tile-pen"
          data-testid="pen"
          aria-label={label}
          aria-pressed={drawing}
          data-tip={label}
          onClick={() => {
            setWanted(!drawing);
          }}
        >
          <PenLine size={20} aria-hidden />
        </button>
      )}
      <p className="visually-hidden" role="status" data-testid="drawing-said">
        <WhoBegan began={view.began} room={room} presenter={presenter} />
      </p>
    </>
  );
}

/** Said when somebody begins to draw. */
export function WhoBegan({ began, room, presenter }: { began: { by: string; count: number } | null; room: Room; presenter: Participant }) {
  const { t } = useTranslation("drawing");
  const person = began === null ? undefined : room.getParticipantByIdentity(began.by);
  if (began === null || person === undefined || person.isLocal) return null;
  const name = displayName(person);
  const text = presenter.isLocal ? t("began.yours", { name }) : t("began.other", { name, presenter: displayName(presenter) });
  return <bdi key={began.count}>{text}</bdi>;
}

export function namesOf(room: Room) {
  return (identity: string): string | null => {
    const person = room.getParticipantByIdentity(identity);
    return person?.isLocal === true ? null : displayName(person ?? { identity });
  };
}

/** Escape puts the pen away, as it does with everything else that was taken up. */
export function useEscape(on: boolean, act: () => void): void {
  useEffect(() => {
    if (!on) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented) act();
    };
    window.addEventListener("keydown", onKey);
    return () => {
      window.removeEventListener("keydown", onKey);
    };
  });
}
