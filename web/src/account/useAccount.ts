import { useEffect, useSyncExternalStore } from "react";
import { accountSession, type Signed } from "./session";

/** Who is signed in. With `wanted` false nobody is asked: this server has no accounts. */
export function useAccount(wanted = true): Signed {
  const account = useSyncExternalStore(accountSession.subscribe, accountSession.snapshot);
  useEffect(() => {
    if (wanted) accountSession.load().catch(() => undefined); // Not known: everything works without an account.
  }, [wanted]);
  return account;
}
