import { useEffect, useState } from "react";
import { type AccountProblem, accountProblem } from "./problems";

/** What `fetch` gives, and again after `reload`. `fetch` must stay the same function. */
export function useLoad<T>(fetch: () => Promise<T>) {
  const [value, setValue] = useState<T>();
  const [problem, setProblem] = useState<AccountProblem | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let current = true;
    fetch().then(
      (answer) => {
        if (!current) return;
        setValue(answer);
        setProblem(null);
      },
      (error: unknown) => {
        if (current) setProblem(accountProblem(error));
      },
    );
    return () => {
      current = false;
    };
  }, [fetch, turn]);
  return {
    value,
    problem,
    reload: () => {
      setTurn((last) => last + 1);
    },
  };
}
