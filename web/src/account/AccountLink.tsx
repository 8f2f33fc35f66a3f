import { CircleUserRound, LogIn } from "lucide-react";
import { useTranslation } from "../i18n/useTranslation";
import type { ServerConfig } from "../lib/api";
import { navigate, usePath } from "../lib/router";
import { keepWayBack } from "./session";
import { useAccount } from "./useAccount";

/** At the top of a page: the way to sign in, or who is signed in. Nothing where there are no accounts. */
export function AccountLink({ config }: { config: ServerConfig }) {
  const { t } = useTranslation();
  const path = usePath();
  const account = useAccount(config.accounts);
  if (!config.accounts || account === undefined) return null;
  return (
    <a
      className="button quiet account-link"
      href="/account"
      data-testid="account-link"
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        keepWayBack(account === null ? path : null);
        navigate("/account");
      }}
    >
      {account === null ? <LogIn size={18} aria-hidden /> : <CircleUserRound size={18} aria-hidden />}
      <bdi className="cut">{account === null ? t("account.signIn") : account.name}</bdi>
    </a>
  );
}
