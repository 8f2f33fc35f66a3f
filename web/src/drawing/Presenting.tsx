import { type Room, Track, type TrackPublication } from "livekit-client";
import { Eraser, PenLine } from "lucide-react";
import { useContext, useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { VideoTrack } from "../call/TrackMedia";
import { RoomContext } from "../hooks/roomContext";
import { useParticipants } from "../hooks/useRoomState";
import { type Drawings, type SheetView } from "./drawings";
import { Layer } from "./Layer";
import { namesOf, useEscape, WhoBegan } from "./ScreenDrawing";
import type { Rules } from "./sheet";
import { useDrawings, useSheet } from "./useDrawings";
import "../styles/drawing.css";

/** Who may draw on one's own shared screen, and one's own pen. */
export function Presenting() {
  const room = useContext(RoomContext);
  return room === null ? null : <OfRoom room={room} />;
}

function OfRoom({ room }: { room: Room }) {
  const drawings = useDrawings(room);
  useParticipants(room);
  const publication = room.localParticipant.getTrackPublication(Track.Source.ScreenShare);
  if (publication?.track === undefined) return null;
  const share = publication.trackSid;
  return <OwnDrawing key={share} room={room} drawings={drawings} share={share} publication={publication} />;
}

interface Props {
  room: Room;
  drawings: Drawings;
  share: string;
  publication: TrackPublication;
}

const AT_FIRST: Rules = { everyone: false, stays: false };

function OwnDrawing({ room, drawings, share, publication }: Props) {
  const me = room.localParticipant;
  const view = useSheet(drawings, me.identity, share);
  const [shown, setShown] = useState(false);
  useEffect(() => {
    // They are asked for from now on; nobody has to be told what they think already.
    drawings.setRules(share, AT_FIRST);
  }, [drawings, share]);
  useEscape(shown, () => {
    setShown(false);
  });
  return (
    <>
      <div className="drawing-bar">
        <Tools
          view={view}
          shown={shown}
          onShow={setShown}
          onRules={(rules) => {
            drawings.setRules(share, rules);
          }}
          onClear={() => {
            drawings.clear(share);
          }}
        />
        <p role="status" data-testid="drawing-said">
          <WhoBegan began={view.began} room={room} presenter={me} />
        </p>
      </div>
      {shown && <OwnScreen room={room} drawings={drawings} share={share} publication={publication} view={view} />}
    </>
  );
}

interface ToolsProps {
  view: SheetView;
  shown: boolean;
  onShow: (shown: boolean) => void;
  onRules: (rules: Rules) => void;
  onClear: () => void;
}

function Tools({ view, shown, onShow, onRules, onClear }: ToolsProps) {
  const { t } = useTranslation("drawing");
  const rules = view.rules ?? AT_FIRST;
  return (
    <div className="drawing-tools" role="group" aria-label={t("tools")}>
      <button
        type="button"
        className="button quiet small"
        data-testid="draw-own"
        aria-pressed={shown}
        onClick={() => {
          onShow(!shown);
        }}
      >
        <PenLine size={17} aria-hidden />
        {t("own")}
      </button>
      <Toggle
        label={t("everyone")}
        testId="draw-everyone"
        on={rules.everyone}
        onChange={(everyone) => {
          onRules({ ...rules, everyone });
        }}
      />
      <Toggle
        label={t("stays")}
        testId="draw-stays"
        on={rules.stays}
        onChange={(stays) => {
          onRules({ ...rules, stays });
        }}
      />
      <button type="button" className="button quiet small" data-testid="draw-clear" disabled={view.strokes.length === 0} onClick={onClear}>
        <Eraser size={17} aria-hidden />
        {t("clear")}
      </button>
    </div>
  );
}

function Toggle({ label, testId, on, onChange }: { label: string; testId: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <label className="drawing-toggle">
      <input
        type="checkbox"
        data-testid={testId}
        checked={on}
        onChange={(event) => {
          onChange(event.target.checked);
        }}
      />
      <span>{label}</span>
    </label>
  );
}

/** One's own screen as the others have it, to draw on. */
function OwnScreen({ room, drawings, share, publication, view }: Props & { view: SheetView }) {
  const { t } = useTranslation("drawing");
  const me = room.localParticipant;
  return (
    <section className="tile screen own-screen" data-testid="own-screen" aria-label={t("yourScreen")}>
      <VideoTrack className="tile-video whole" publication={publication} />
      <Layer view={view} nameOf={namesOf(room)} penDown={() => drawings.penDown(me.identity, share)} />
    </section>
  );
}
