import { useCallback, useEffect, useRef, useState } from "react";
import { type AccountProblem, accountProblem } from "../account/problems";
import type { Page } from "./api";

/** A list that comes page by page. `fetch` must stay the same function. */
export function usePages<T>(fetch: (after: string) => Promise<Page<T>>) {
  const [items, setItems] = useState<T[]>();
  const [next, setNext] = useState<string | null>(null);
  const [problem, setProblem] = useState<AccountProblem | null>(null);
  // What an earlier question is answered with comes too late.
  const turn = useRef(0);

  const load = useCallback(
    (after: string) => {
      turn.current += 1;
      const mine = turn.current;
      fetch(after).then(
        (page) => {
          if (mine !== turn.current) return;
          setItems((before) => (after === "" || before === undefined ? page.items : [...before, ...page.items]));
          setNext(page.next);
          setProblem(null);
        },
        (error: unknown) => {
          if (mine === turn.current) setProblem(accountProblem(error));
        },
      );
    },
    [fetch],
  );

  useEffect(() => {
    load("");
    return () => {
      turn.current += 1;
    };
  }, [load]);

  return {
    items,
    problem,
    hasMore: next !== null,
    more: () => {
      if (next !== null) load(next);
    },
    reload: () => {
      load("");
    },
  };
}
