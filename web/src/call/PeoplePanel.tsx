import type { Participant } from "livekit-client";
import { Link2, Mic, MicOff, MonitorUp, Video, VideoOff } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Avatar } from "../components/Avatar";
import { usePerson } from "../hooks/usePerson";
import { Panel } from "./Panel";

interface Props {
  participants: readonly Participant[];
  onInvite: () => void;
  onClose: () => void;
}

export function PeoplePanel({ participants, onInvite, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Panel name="people" title={`${t("people.title")} (${participants.length})`} onClose={onClose}>
      <ul className="people">
        {participants.map((participant) => (
          <PersonLine key={participant.identity} participant={participant} />
        ))}
      </ul>
      <div className="panel-foot">
        <button type="button" className="button wide" onClick={onInvite}>
          <Link2 size={17} aria-hidden />
          {t("call.invite")}
        </button>
      </div>
    </Panel>
  );
}

function PersonLine({ participant }: { participant: Participant }) {
  const { t } = useTranslation();
  const person = usePerson(participant);
  return (
    <li
      data-testid="people-item"
      data-identity={person.identity}
      data-name={person.name}
      data-muted={!person.micOn}
      data-camera={person.cameraOn}
      className={person.speaking && person.micOn ? "speaking" : ""}
    >
      <Avatar name={person.name} identity={person.identity} size="small" />
      <bdi className="person-name">{person.local ? t("call.nameYou", { name: person.name }) : person.name}</bdi>
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
    </li>
  );
}
