import { ShieldAlert, ShieldCheck } from "lucide-react";
import { type SubmitEvent, useState, useSyncExternalStore } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { CopyButton } from "../components/CopyButton";
import { Dialog } from "../components/Dialog";
import { digitsOf } from "../sealed/code";
import type { RecoveryResult } from "../sealed/recovery";
import type { SealedRoom } from "../sealed/sealedRoom";
import type { View } from "../sealed/engine";
import { CodePictures } from "./CodePictures";
import { Section } from "./RoomDialog";
import { type RoomLive, useRoomState } from "./RoomLive";

interface Props {
  live: RoomLive;
  sealed: SealedRoom;
  onClose: () => void;
}

/** How the room is sealed, for everybody to check: its code, its devices, and what the server sees all the same. */
export function SealDialog({ live, sealed, onClose }: Props) {
  const { t } = useTranslation();
  const { view } = useSyncExternalStore(sealed.session.subscribe, sealed.session.snapshot);
  const { role } = useRoomState(live.log);

  return (
    <Dialog title={t("seal.title")} testId="seal-dialog" onClose={onClose}>
      <p>{t("seal.sealedLong")}</p>
      {view === null ? <p role="status">{t("seal.joining")}</p> : <Code sealed={sealed} view={view} />}
      {view !== null && <Devices sealed={sealed} view={view} />}
      <ServerSees />
      <RecoveryPart sealed={sealed} />
      {role === "owner" && <OpenRoom live={live} />}
    </Dialog>
  );
}

function Code({ sealed, view }: { sealed: SealedRoom; view: View }) {
  const { t } = useTranslation();
  const [compared, setCompared] = useState<View | null>(null);
  return (
    <Section title={t("seal.code")}>
      <p className="seal-code" data-testid="seal-code">
        {digitsOf(view.code).map((digits, place) => (
          <span key={place}>{digits}</span>
        ))}
      </p>
      <CodePictures code={view.code} />
      <p className="hint">{t("seal.codeHint")}</p>
      <button
        type="button"
        className="button small"
        data-testid="seal-same"
        onClick={() => {
          setCompared(view);
          void sealed.verified.mark(view.members);
        }}
      >
        <ShieldCheck size={16} aria-hidden />
        {t("seal.same")}
      </button>
      <p role="status" className="hint">
        {compared === view ? t("seal.verifiedNow") : ""}
      </p>
    </Section>
  );
}

function Devices({ sealed, view }: { sealed: SealedRoom; view: View }) {
  const { t } = useTranslation();
  useSyncExternalStore(sealed.verified.subscribe, sealed.verified.snapshot);
  const { members, own } = view;
  return (
    <Section title={t("seal.devices")}>
      <ul className="seal-devices" data-testid="seal-devices">
        {members.map((leaf) => {
          const name = sealed.session.nameOf(leaf.device) ?? t("event.somebody");
          const trust = leaf.index === own ? "verified" : sealed.verified.trustOf(leaf);
          return (
            <li key={leaf.device} data-trust={trust}>
              {trust === "verified" ? <ShieldCheck size={16} aria-hidden /> : <ShieldAlert size={16} aria-hidden />}
              <bdi>{name}</bdi>
              <small>{leaf.index === own ? t("seal.thisDevice") : t(trust === "verified" ? "seal.verified" : "seal.notVerified")}</small>
              {trust === "changed" && <p className="problem">{t("seal.changed", { name })}</p>}
            </li>
          );
        })}
      </ul>
    </Section>
  );
}

const SEES = ["who", "sizes", "acts", "title"] as const;

function ServerSees() {
  const { t } = useTranslation();
  return (
    <Section title={t("seal.server")}>
      <ul className="seal-sees" data-testid="seal-sees">
        {SEES.map((what) => (
          <li key={what}>{t(`seal.serverSees.${what}`)}</li>
        ))}
      </ul>
      <p>{t("seal.serverNot")}</p>
    </Section>
  );
}

const RESULTS: Record<RecoveryResult | "failed", "seal.recoveryDone" | "seal.recoveryWrong" | "seal.recoveryNone" | "room.failed"> = {
  done: "seal.recoveryDone",
  wrong: "seal.recoveryWrong",
  none: "seal.recoveryNone",
  failed: "room.failed",
};

function RecoveryPart({ sealed }: { sealed: SealedRoom }) {
  const { t } = useTranslation();
  const [made, setMade] = useState("");
  const [typed, setTyped] = useState("");
  const [result, setResult] = useState<keyof typeof RESULTS | null>(null);
  const make = () => {
    setResult(null);
    sealed.recovery.make().then(setMade, () => {
      setResult("failed");
    });
  };
  const use = (event: SubmitEvent) => {
    event.preventDefault();
    sealed.recovery.use(typed).then(setResult, () => {
      setResult("failed");
    });
  };
  return (
    <Section title={t("seal.recovery")}>
      <p>{t("seal.recoveryHint")}</p>
      {made === "" ? (
        <button type="button" className="button small" data-testid="recovery-make" onClick={make}>
          {t("seal.recoveryMake")}
        </button>
      ) : (
        <div className="recovery-actions">
          <code className="seal-recovery" data-testid="recovery-key">
            {made}
          </code>
          <CopyButton text={made} label={t("seal.recovery")} testId="copy-recovery-key" />
        </div>
      )}
      <form className="field" onSubmit={use}>
        <label htmlFor="recovery-key">{t("seal.recoveryUse")}</label>
        <div className="input-with-button">
          <input
            id="recovery-key"
            data-testid="recovery-input"
            autoComplete="off"
            spellCheck={false}
            maxLength={64}
            value={typed}
            onChange={(event) => {
              setTyped(event.target.value);
            }}
          />
          <button type="submit" className="button" data-testid="recovery-use" disabled={typed.trim() === ""}>
            {t("seal.recoveryOpen")}
          </button>
        </div>
      </form>
      <p role="status" className={result === null || result === "done" ? "hint" : "problem"} data-testid="recovery-result">
        {result === null ? "" : t(RESULTS[result])}
      </p>
    </Section>
  );
}

function OpenRoom({ live }: { live: RoomLive }) {
  const { t } = useTranslation();
  const [asked, setAsked] = useState(false);
  const [failed, setFailed] = useState(false);
  const open = () => {
    live.api.change({ policy: { kind: "open" } }).catch(() => {
      setFailed(true);
    });
  };
  return (
    <div role={asked ? "alert" : undefined}>
      {asked && <p className="problem">{failed ? t("room.failed") : t("seal.openSure")}</p>}
      <div className="recovery-actions">
        <button
          type="button"
          className="button small danger"
          data-testid={asked ? "open-room-yes" : "open-room"}
          onClick={asked ? open : () => {
            setAsked(true);
          }}
        >
          {t("seal.openRoom")}
        </button>
        {asked && (
          <button
            type="button"
            className="button quiet small"
            onClick={() => {
              setAsked(false);
            }}
          >
            {t("log.cancel")}
          </button>
        )}
      </div>
    </div>
  );
}
