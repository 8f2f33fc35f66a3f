import { Ellipsis, X } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { laterDialog } from "../components/later";
import { reaches, ROLES } from "../lib/api";
import type { Person } from "../hooks/usePerson";
import { memberOf, type RoomLive, useRoomState } from "./RoomLive";

const BreakoutsDialog = laterDialog(async () => (await import("./BreakoutsDialog")).BreakoutsDialog);

type Act = () => Promise<void>;

interface Offered {
  key: string;
  label: string;
  act: Act;
  shown: boolean;
  /** What cannot be taken back is asked again. */
  grave?: boolean;
}

interface PersonMenuProps {
  live: RoomLive;
  person: Person;
  onWriteTo: (member: string, name: string) => void;
  /** How the call goes for a member is to be shown. */
  onConnection: (member: string) => void;
}

/** What a host may do with one person, and everybody with themselves. The server checks it again. */
export function PersonMenu({ live, person, onWriteTo, onConnection }: PersonMenuProps) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const { name, identity } = person;
  return (
    <>
      <button
        type="button"
        className="icon-button"
        data-testid="person-menu"
        aria-label={t("host.menu", { name })}
        aria-expanded={open}
        onClick={() => {
          setOpen(!open);
        }}
      >
        {open ? <X size={17} aria-hidden /> : <Ellipsis size={17} aria-hidden />}
      </button>
      {open && (
        <OpenMenu
          live={live}
          person={person}
          onMessage={() => {
            onWriteTo(memberOf(identity), name);
          }}
          onConnection={() => {
            onConnection(memberOf(identity));
          }}
          onDone={() => {
            setOpen(false);
          }}
        />
      )}
    </>
  );
}

interface MenuProps {
  live: RoomLive;
  person: Person;
  onMessage: () => void;
  onConnection: () => void;
  onDone: () => void;
}

function OpenMenu({ live, person, onMessage, onConnection, onDone }: MenuProps) {
  const { t } = useTranslation();
  const { t: hosts } = useTranslation("hosts");
  const { role } = useRoomState(live.log);
  const { name, identity } = person;
  const member = memberOf(identity);
  const { api } = live;
  const moderates = reaches(role, "moderator");
  // Moderators have no power over owners and each other.
  const above = moderates && ROLES.indexOf(role) > ROLES.indexOf(person.role);
  const owns = role === "owner";
  const message = () => {
    onMessage();
    return Promise.resolve();
  };
  const show = () => {
    onConnection();
    return Promise.resolve();
  };
  const offered: Offered[] = [
    { key: "message", label: t("host.message"), act: message, shown: !person.local },
    { key: "spotlight", label: hosts("spotlight.put"), act: () => api.putFirst(identity, "camera"), shown: moderates && person.spotlight !== "camera" },
    { key: "spotlight-screen", label: hosts("spotlight.putScreen"), act: () => api.putFirst(identity, "screen"), shown: moderates && person.sharing && person.spotlight !== "screen" },
    { key: "end-spotlight", label: hosts("spotlight.end"), act: () => api.endSpotlight(), shown: moderates && person.spotlight !== null },
    { key: "connection", label: hosts("lines.menu"), act: show, shown: moderates || person.local },
    { key: "mute", label: t("host.mute"), act: () => api.stop(identity, "microphone"), shown: above && person.micOn },
    { key: "ask", label: t("host.askUnmute"), act: () => api.askToUnmute(identity), shown: moderates && !person.local && !person.micOn },
    { key: "video", label: t("host.stopVideo"), act: () => api.stop(identity, "camera"), shown: above && person.cameraOn },
    { key: "screen", label: t("host.stopScreen"), act: () => api.stop(identity, "screen"), shown: above && person.sharing },
    { key: "moderator", label: t("host.makeModerator"), act: () => api.setRole(member, "moderator", name), shown: owns && !person.local && person.role !== "moderator" },
    { key: "owner", label: t("host.makeOwner"), act: () => api.setRole(member, "owner", name), shown: owns && !person.local && person.role !== "owner", grave: true },
    { key: "guest", label: t("host.makeGuest"), act: () => api.setRole(member, "guest", name), shown: owns && !person.local && person.role !== "guest", grave: true },
    { key: "kick", label: t("host.kick"), act: () => api.kick(member), shown: above, grave: true },
    { key: "ban", label: t("host.ban"), act: () => api.ban(member, name), shown: above, grave: true },
  ];
  return <Choices name={name} offered={offered.filter(({ shown }) => shown)} onDone={onDone} />;
}

/** Buttons that do something on the server, one after the other; grave ones ask first. */
function Choices({ name, offered, onDone }: { name: string; offered: Offered[]; onDone: () => void }) {
  const { t } = useTranslation();
  const [asked, setAsked] = useState<Offered | null>(null);
  const [failed, setFailed] = useState(false);
  const run = async (act: Act) => {
    setAsked(null);
    setFailed(false);
    try {
      await act();
      onDone();
    } catch {
      setFailed(true);
    }
  };
  return (
    <div className="host-choices" role="group" data-testid="host-choices">
      {failed && (
        <p className="problem" role="alert">
          {t("host.failed")}
        </p>
      )}
      {asked === null ? (
        offered.map((one) => (
          <button
            key={one.key}
            type="button"
            className={`button quiet small${one.grave === true ? " grave" : ""}`}
            data-testid={`host-${one.key}`}
            onClick={() => {
              if (one.grave === true) setAsked(one);
              else void run(one.act);
            }}
          >
            {one.label}
          </button>
        ))
      ) : (
        <>
          <p>{name === "" ? asked.label : t("host.sure", { act: asked.label, name })}</p>
          <button type="button" className="button small" data-testid="host-yes" onClick={() => void run(asked.act)}>
            {t("host.yes")}
          </button>
          <button
            type="button"
            className="button quiet small"
            onClick={() => {
              setAsked(null);
            }}
          >
            {t("host.no")}
          </button>
        </>
      )}
    </div>
  );
}

/** What a host may do with everybody. */
export function HostTools({ live, present }: { live: RoomLive; present: ReadonlyMap<string, string> }) {
  const { t } = useTranslation();
  const { t: hosts } = useTranslation("hosts");
  const [divides, setDivides] = useState(false);
  const { role, policy, hands } = useRoomState(live.log);
  if (!reaches(role, "moderator")) return null;
  const { api } = live;
  const lock = async () => {
    await api.change({ policy: { locked: !policy.locked } });
  };
  const offered: Offered[] = [
    { key: "mute-all", label: t("host.muteAll"), act: () => api.muteAll(), shown: true },
    { key: "lower-hands", label: t("host.lowerHands"), act: () => api.lowerHands(), shown: hands.length > 0 },
    { key: "lock", label: t(policy.locked ? "host.unlock" : "host.lock"), act: lock, shown: true },
    {
      key: "breakouts",
      label: hosts("breakouts.title"),
      act: () => {
        setDivides(true);
        return Promise.resolve();
      },
      shown: true,
    },
    { key: "end-call", label: t("host.endCall"), act: () => api.endCall(), shown: true, grave: true },
  ];
  return (
    <section className="host-tools" aria-label={t("host.tools")}>
      <Choices name="" offered={offered.filter(({ shown }) => shown)} onDone={() => undefined} />
      {divides && (
        <BreakoutsDialog
          live={live}
          present={present}
          onClose={() => {
            setDivides(false);
          }}
        />
      )}
    </section>
  );
}
