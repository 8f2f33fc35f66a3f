import type { Participant } from "livekit-client";
import { Hand, Link2, Mic, MicOff, MonitorUp, QrCode, Video, VideoOff } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Avatar } from "../components/Avatar";
import { usePerson } from "../hooks/usePerson";
import { displayName } from "../lib/people";
import { HostTools, PersonMenu } from "../room/HostTools";
import { AtTheDoor } from "../room/KnockBar";
import { LaterConnection } from "../room/LaterConnection";
import { TalkTimes } from "../room/TalkTimes";
import { memberOf, type RoomLive, useMaybeRoomState, useRoomLive } from "../room/RoomLive";
import { Panel } from "./Panel";

interface Props {
  participants: readonly Participant[];
  onInvite: () => void;
  /** The link to be seen, not only copied. */
  onShow: () => void;
  onClose: () => void;
  /** A private message to somebody. */
  onWriteTo: (member: string, name: string) => void;
}

export function PeoplePanel({ participants, onInvite, onShow, onClose, onWriteTo }: Props) {
  const { t } = useTranslation();
  const live = useRoomLive();
  const [connection, setConnection] = useState<string | null>(null);
  const present = new Map(participants.map((participant) => [memberOf(participant.identity), displayName(participant)]));
  return (
    <Panel name="people" title={`${t("people.title")} (${participants.length})`} onClose={onClose}>
      {live !== null && <AtTheDoor live={live} />}
      <ul className="people">
        {participants.map((participant) => (
          <PersonLine key={participant.identity} participant={participant} live={live} onWriteTo={onWriteTo} onConnection={setConnection} />
        ))}
      </ul>
      {live !== null && connection !== null && (
        // Not of a person's line, which goes when they go.
        <LaterConnection
          live={live}
          member={connection}
          seq={null}
          onClose={() => {
            setConnection(null);
          }}
        />
      )}
      {live !== null && <TalkTimes live={live} />}
      {live !== null && <HostTools live={live} present={present} />}
      <div className="panel-foot">
        <button type="button" className="button wide" onClick={onInvite}>
          <Link2 size={17} aria-hidden />
          {t("call.invite")}
        </button>
        <button type="button" className="button" data-testid="show-invite" aria-label={t("invite.show")} onClick={onShow}>
          <QrCode size={18} aria-hidden />
        </button>
      </div>
    </Panel>
  );
}

interface LineProps {
  participant: Participant;
  live: RoomLive | null;
  onWriteTo: Props["onWriteTo"];
  onConnection: (member: string) => void;
}

function PersonLine({ participant, live, onWriteTo, onConnection }: LineProps) {
  const { t } = useTranslation();
  const person = usePerson(participant);
  const hands = useMaybeRoomState(live)?.hands ?? [];
  const place = hands.findIndex(({ member }) => member === memberOf(person.identity)) + 1;
  return (
    <li
      data-testid="people-item"
      data-identity={person.identity}
      data-name={person.name}
      data-muted={!person.micOn}
      data-camera={person.cameraOn}
      data-role={live === null ? undefined : person.role}
      data-hand={place > 0 ? place : undefined}
      className={person.speaking && person.micOn ? "speaking" : ""}
    >
      <Avatar name={person.name} identity={person.identity} size="small" />
      <span className="person-name">
        <bdi>{person.local ? t("call.nameYou", { name: person.name }) : person.name}</bdi>
        {live !== null && person.role !== "guest" && <small>{t(`role.${person.role}`)}</small>}
      </span>
      {place > 0 && (
        <span className="hand" title={t("hand.place", { place })} aria-label={t("hand.place", { place })} role="img">
          <Hand size={17} aria-hidden />
          {place}
        </span>
      )}
      {person.sharing && <MonitorUp size={17} aria-label={t("people.sharing")} />}
      {person.micOn ? (
        <Mic size={17} aria-label={t("people.micOn")} />
      ) : (
        <MicOff className="off" size={17} aria-label={t("people.micOff")} />
      )}
      {person.cameraOn ? (
        <Video size={17} aria-label={t("people.cameraOn")} />
      ) : (
        <VideoOff className="off" size={17} aria-label={t("people.cameraOff")} />
      )}
      {live !== null && <PersonMenu live={live} person={person} onWriteTo={onWriteTo} onConnection={onConnection} />}
    </li>
  );
}
