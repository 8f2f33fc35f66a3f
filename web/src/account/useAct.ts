import { createContext, useContext, useState } from "react";
import { ApiError } from "../lib/api";
import { type AccountProblem, accountProblem } from "./problems";

/** Lets somebody prove who they are. Throws `ProofCancelled` when they do not want to. */
export type Prove = () => Promise<void>;

export const ProofContext = createContext<Prove>(() => Promise.reject(new ApiError("step_up_needed", "")));

/** Does it; where a new proof is needed, asks for one, and does it once more. */
export async function withProof<T>(act: () => Promise<T>, prove: Prove): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "step_up_needed") throw error;
    await prove();
    return act();
  }
}

export class ProofCancelled extends Error {}

/** One thing at a time that may be refused: whether it is going on, and why it failed. */
export function useAct() {
  const prove = useContext(ProofContext);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<AccountProblem | null>(null);
  const run = async (act: () => Promise<unknown>) => {
    setBusy(true);
    setProblem(null);
    try {
      await withProof(act, prove);
    } catch (error) {
      if (!(error instanceof ProofCancelled)) setProblem(accountProblem(error));
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, run: (act: () => Promise<unknown>) => void run(act) };
}
