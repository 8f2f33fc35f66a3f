import { Copy, KeyRound, Mail, MoreHorizontal, Plus, UserPlus } from "lucide-react";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Confirm, Dialog } from "../components/Dialog";
import { Field, ProblemBox } from "../account/parts";
import { useAct } from "../account/useAct";
import { useTimes } from "../account/useTimes";
import { copyText } from "../lib/copy";
import * as api from "./api";
import { Table } from "./Table";
import { usePages } from "./usePages";

type Open = { kind: "create" } | { kind: "invite" } | { kind: "change"; account: api.OtherAccount };

export function AccountsPart({ withPasswords }: { withPasswords: boolean }) {
  const { t } = useTranslation();
  const time = useTimes();
  const pages = usePages(api.fetchAccounts);
  const [open, setOpen] = useState<Open | null>(null);
  const close = () => {
    setOpen(null);
  };
  const opening = (what: Open) => () => {
    setOpen(what);
  };
  const done = () => {
    close();
    pages.reload();
  };
  return (
    <>
      <div className="account-actions">
        {withPasswords && (
          <button type="button" className="button primary" data-testid="new-account" onClick={opening({ kind: "create" })}>
            <Plus size={18} aria-hidden />
            {t("admin.accounts.create")}
          </button>
        )}
        <button type="button" className="button" data-testid="invite" onClick={opening({ kind: "invite" })}>
          <Mail size={18} aria-hidden />
          {t("admin.accounts.invite")}
        </button>
      </div>
      <Table
        label={t("admin.accounts.title")}
        testId="accounts"
        items={pages.items}
        idOf={(account) => account.name}
        problem={pages.problem}
        empty={t("admin.accounts.empty")}
        more={pages.hasMore ? pages.more : undefined}
        columns={[
          { key: "name", label: t("account.name"), cell: (account) => <bdi>{account.name}</bdi> },
          { key: "state", label: t("admin.accounts.state"), cell: (account) => <State account={account} /> },
          { key: "made", label: t("admin.accounts.made"), cell: (account) => time(account.createdAtMs) },
          {
            key: "acts",
            label: t("admin.acts"),
            cell: (account) => (
              <button
                type="button"
                className="icon-button boxed"
                data-testid="change-account"
                aria-label={t("admin.accounts.change", { name: account.name })}
                onClick={() => {
                  setOpen({ kind: "change", account });
                }}
              >
                <MoreHorizontal size={18} aria-hidden />
              </button>
            ),
          },
        ]}
      />
      {open?.kind === "create" && <CreateDialog onDone={done} onClose={close} />}
      {open?.kind === "invite" && <InviteDialog onClose={close} />}
      {open?.kind === "change" && (
        <ChangeDialog account={open.account} withPasswords={withPasswords} onDone={done} onClose={close} />
      )}
    </>
  );
}

function State({ account }: { account: api.OtherAccount }) {
  const { t } = useTranslation();
  if (account.isDisabled) return <span className="admin-mark off">{t("admin.accounts.disabled")}</span>;
  return account.isAdmin ? <span className="admin-mark">{t("admin.accounts.admin")}</span> : "–";
}

interface DialogProps {
  onDone: () => void;
  onClose: () => void;
}

function CreateDialog({ onDone, onClose }: DialogProps) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [isAdmin, setAdmin] = useState(false);
  const create = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      await api.createAccount(name, password, isAdmin);
      onDone();
    });
  };
  return (
    <Dialog title={t("admin.accounts.create")} testId="create-dialog" onClose={onClose}>
      <ProblemBox problem={problem} />
      <form className="account-form" onSubmit={create}>
        <Field label={t("account.name")} autoComplete="off" testId="create-name" maxLength={64} value={name} onChange={setName} />
        <Field
          label={t("admin.accounts.firstPassword")}
          hint={t("admin.accounts.passwordHint")}
          type="password"
          autoComplete="new-password"
          testId="create-password"
          value={password}
          onChange={setPassword}
        />
        <label className="admin-check">
          <input
            type="checkbox"
            data-testid="create-admin"
            checked={isAdmin}
            onChange={(event) => {
              setAdmin(event.target.checked);
            }}
          />
          {t("admin.accounts.asAdmin")}
        </label>
        <button type="submit" className="button primary wide" data-testid="create-submit" disabled={busy}>
          <UserPlus size={18} aria-hidden />
          {t("admin.accounts.create")}
        </button>
      </form>
    </Dialog>
  );
}

function InviteDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const time = useTimes();
  const { busy, problem, run } = useAct();
  const [invitation, setInvitation] = useState<{ code: string; expiresAtMs: number } | null>(null);
  const [copied, setCopied] = useState(false);
  return (
    <Dialog title={t("admin.accounts.invite")} testId="invite-dialog" onClose={onClose}>
      <p className="account-text">{t("admin.accounts.inviteText")}</p>
      <ProblemBox problem={problem} />
      {invitation === null ? (
        <button
          type="button"
          className="button primary wide"
          data-testid="invite-go"
          disabled={busy}
          onClick={() => {
            run(async () => {
              setInvitation(await api.inviteAccount());
            });
          }}
        >
          {t("admin.accounts.inviteGo")}
        </button>
      ) : (
        <>
          <output className="room-chip" data-testid="invite-code">
            {invitation.code}
          </output>
          <p className="account-hint">{t("admin.accounts.inviteUntil", { time: time(invitation.expiresAtMs) })}</p>
          <button
            type="button"
            className="button wide"
            onClick={() => {
              void copyText(invitation.code).then(setCopied);
            }}
          >
            <Copy size={18} aria-hidden />
            <span aria-live="polite">{t(copied ? "admin.accounts.copied" : "admin.accounts.copy")}</span>
          </button>
        </>
      )}
    </Dialog>
  );
}

interface ChangeProps extends DialogProps {
  account: api.OtherAccount;
  withPasswords: boolean;
}

function ChangeDialog({ account, withPasswords, onDone, onClose }: ChangeProps) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  const [removing, setRemoving] = useState(false);
  const act = (what: () => Promise<unknown>) => {
    run(async () => {
      await what();
      onDone();
    });
  };
  return (
    <Dialog title={account.name} testId="change-dialog" onClose={onClose}>
      <ProblemBox problem={problem} />
      <button
        type="button"
        className="button wide"
        data-testid="toggle-admin"
        disabled={busy}
        onClick={() => {
          act(() => api.changeAccount(account.id, { is_admin: !account.isAdmin }));
        }}
      >
        {t(account.isAdmin ? "admin.accounts.unmakeAdmin" : "admin.accounts.makeAdmin")}
      </button>
      <button
        type="button"
        className="button wide"
        data-testid="toggle-disabled"
        disabled={busy}
        onClick={() => {
          act(() => api.changeAccount(account.id, { is_disabled: !account.isDisabled }));
        }}
      >
        {t(account.isDisabled ? "admin.accounts.enable" : "admin.accounts.disable")}
      </button>
      {withPasswords && <SetPassword account={account} onDone={onDone} />}
      <button
        type="button"
        className="button danger wide"
        data-testid="remove-account"
        disabled={busy}
        onClick={() => {
          setRemoving(true);
        }}
      >
        {t("admin.accounts.remove")}
      </button>
      {removing && (
        <Confirm
          title={t("admin.accounts.removeOf", { name: account.name })}
          text={t("admin.accounts.removeText")}
          yes={t("admin.accounts.remove")}
          onClose={() => {
            setRemoving(false);
          }}
          onYes={() => {
            act(() => api.removeAccount(account.id));
          }}
        />
      )}
    </Dialog>
  );
}

function SetPassword({ account, onDone }: { account: api.OtherAccount; onDone: () => void }) {
  const { t } = useTranslation();
  const { busy, problem, run } = useAct();
  const [password, setPassword] = useState("");
  const set = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      await api.setPassword(account.id, password);
      onDone();
    });
  };
  return (
    <form className="account-form" onSubmit={set}>
      <ProblemBox problem={problem} />
      <Field
        label={t("account.newPassword.label")}
        hint={t("admin.accounts.setHint")}
        type="password"
        autoComplete="new-password"
        testId="set-password"
        value={password}
        onChange={setPassword}
      />
      <button type="submit" className="button wide" data-testid="set-password-submit" disabled={busy}>
        <KeyRound size={18} aria-hidden />
        {t("account.newPassword.go")}
      </button>
    </form>
  );
}
