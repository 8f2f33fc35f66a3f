import { X } from "lucide-react";
import { useCallback, useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { CopyButton } from "../components/CopyButton";
import { ROLES, type Role } from "../lib/api";
import { invitationLink } from "../lib/keys";
import type { Invitation } from "../log/rest";
import { type RoomLive, useRoomState } from "./RoomLive";

const DAY_S = 86_400;
const KINDS = [
  { key: "once", uses: 1, ttlS: null },
  { key: "day", uses: null, ttlS: DAY_S },
  { key: "week", uses: null, ttlS: 7 * DAY_S },
] as const;

/** What `load` gives, and again after each change; null until it is there. */
function useList<One>(load: () => Promise<One[]>) {
  const [list, setList] = useState<readonly One[] | null>(null);
  const reload = useCallback(async () => {
    try {
      setList(await load());
    } catch {
      setList((old) => old ?? []);
    }
  }, [load]);
  useEffect(() => {
    // eslint-disable-next-line react-hooks/set-state-in-effect -- it is set when the answer has come
    void reload();
  }, [reload]);
  const act = (change: Promise<unknown>) => {
    void change.catch(() => undefined).then(reload);
  };
  return { list: list ?? [], act, reload };
}

export function Invitations({ live, owns }: { live: RoomLive; owns: boolean }) {
  const { t } = useTranslation();
  const [role, setRole] = useState<Role>("guest");
  const [made, setMade] = useState<Invitation | null>(null);
  const { list, act, reload } = useList(useCallback(() => live.api.invitations(), [live]));
  const roles = ROLES.filter((one) => owns || one === "guest" || one === "member");
  const make = async (uses: number | null, ttlS: number | null) => {
    try {
      setMade(await live.api.invite(role, uses, ttlS));
    } finally {
      await reload();
    }
  };
  return (
    <section className="room-section">
      <h3>{t("room.invitations")}</h3>
      <div className="select">
        <select
          aria-label={t("room.newInvitation")}
          data-testid="invitation-role"
          value={role}
          onChange={(event) => {
            setRole(roles.find((one) => one === event.target.value) ?? "guest");
          }}
        >
          {roles.map((one) => (
            <option key={one} value={one}>
              {t("room.asRole", { role: t(`role.${one}`) })}
            </option>
          ))}
        </select>
      </div>
      <div className="recovery-actions">
        {KINDS.map(({ key, uses, ttlS }) => (
          <button key={key} type="button" className="button small" data-testid={`invite-${key}`} onClick={() => void make(uses, ttlS).catch(() => undefined)}>
            {t(`room.${key}`)}
          </button>
        ))}
      </div>
      {made !== null && (
        <CopyButton
          key={made.id}
          text={invitationLink(window.location.origin, live.roomName, made.secret)}
          label={t("room.copyInvitation")}
          testId="copy-invitation"
        />
      )}
      <ul className="room-list">
        {list.map((one) => (
          <li key={one.id} data-testid="invitation">
            <InvitationText invitation={one} />
            <button
              type="button"
              className="icon-button"
              aria-label={t("room.takeBack")}
              onClick={() => {
                act(live.api.takeBack(one.id));
              }}
            >
              <X size={17} aria-hidden />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function InvitationText({ invitation: { role, usesLeft, expiresAtMs } }: { invitation: Invitation }) {
  const { t, language } = useTranslation();
  const time = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const parts = [t("room.asRole", { role: t(`role.${role}`) })];
  if (usesLeft !== null) parts.push(t("room.usesLeft", { count: usesLeft }));
  if (expiresAtMs !== null) parts.push(t("room.until", { time: time.format(expiresAtMs) }));
  return <span>{parts.join(" · ")}</span>;
}

export function Members({ live, owns }: { live: RoomLive; owns: boolean }) {
  const { t } = useTranslation();
  const { me } = useRoomState(live.log);
  const { list, act } = useList(useCallback(() => live.api.members(), [live]));
  // Reading leaves a trace of guests too; only those with a role are members.
  const members = list.filter(({ role }) => role !== "guest");
  if (members.length === 0) return null;
  return (
    <section className="room-section">
      <h3>{t("room.members")}</h3>
      <ul className="room-list">
        {members.map(({ memberId, role, name }) => (
          <li key={memberId} data-testid="member">
            <span>
              <bdi>{memberId === me ? t("log.you") : name || t("event.somebody")}</bdi> · {t(`role.${role}`)}
            </span>
            {owns && memberId !== me && (
              <button
                type="button"
                className="button quiet small"
                onClick={() => {
                  act(live.api.setRole(memberId, "guest", name));
                }}
              >
                {t("host.makeGuest")}
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

export function Bans({ live }: { live: RoomLive }) {
  const { t } = useTranslation();
  const { list, act } = useList(useCallback(() => live.api.bans(), [live]));
  if (list.length === 0) return null;
  return (
    <section className="room-section">
      <h3>{t("room.bans")}</h3>
      <ul className="room-list">
        {list.map(({ memberId, name }) => (
          <li key={memberId} data-testid="ban">
            <bdi>{name === "" ? t("event.somebody") : name}</bdi>
            <button
              type="button"
              className="button quiet small"
              data-testid="lift-ban"
              onClick={() => {
                act(live.api.liftBan(memberId));
              }}
            >
              {t("room.lift")}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
