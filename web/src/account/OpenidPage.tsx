import { House } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import type { ServerConfig } from "../lib/api";
import { navigate } from "../lib/router";
import { finishOpenid } from "./api";
import { answerOf } from "./openid";
import { Frame, Loading, ProblemBox } from "./parts";
import { type AccountProblem, accountProblem } from "./problems";
import { accountSession, takeWayBack } from "./session";

let asked: Promise<void> | null = null;

/** The answer is good for one time, and React may start effects twice. */
function arrive(): Promise<void> {
  asked ??= finish().finally(() => {
    asked = null;
  });
  return asked;
}

async function finish(): Promise<void> {
  const answer = answerOf(window.location.search);
  // Nobody copies the code with the address, and going back does not lead here again.
  window.history.replaceState(null, "", window.location.pathname);
  if (answer === null) {
    navigate("/account");
    return;
  }
  accountSession.set(await finishOpenid(answer.state, answer.code, answer.iss));
  navigate(takeWayBack());
}

/** Where the provider sends the browser back to. */
export function OpenidPage({ config }: { config: ServerConfig }) {
  const { t } = useTranslation();
  const [problem, setProblem] = useState<AccountProblem | null>(null);
  useEffect(() => {
    arrive().catch((error: unknown) => {
      setProblem(accountProblem(error));
    });
  }, []);
  return (
    <Frame config={config}>
      <div className="card account-card narrow" data-testid="openid-page">
        <h1>{t("account.signIn")}</h1>
        {problem === null ? (
          <Loading />
        ) : (
          <>
            <ProblemBox problem={problem} />
            <button
              type="button"
              className="button wide"
              onClick={() => {
                navigate("/account");
              }}
            >
              <House size={18} aria-hidden />
              {t("account.again")}
            </button>
          </>
        )}
      </div>
    </Frame>
  );
}
