import { useCallback, useEffect, useRef, useState } from "react";

export interface Toast {
  id: number;
  text: string;
  kind: "info" | "problem";
}

const INFO_MS = 3500;
const PROBLEM_MS = 9000;
const LIMIT = 3;

/** Short notices that go away by themselves. */
export function useToasts() {
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const nextId = useRef(0);
  const timers = useRef(new Set<number>());

  useEffect(() => {
    const running = timers.current;
    return () => {
      for (const timer of running) window.clearTimeout(timer);
      running.clear();
    };
  }, []);

  const dismiss = useCallback((id: number) => {
    setToasts((old) => old.filter((toast) => toast.id !== id));
  }, []);

  const show = useCallback(
    (text: string, kind: Toast["kind"] = "info") => {
      const id = nextId.current++;
      setToasts((old) => [...old.filter((toast) => toast.text !== text), { id, text, kind }].slice(-LIMIT));
      const timer = window.setTimeout(
        () => {
          timers.current.delete(timer);
          dismiss(id);
        },
        kind === "info" ? INFO_MS : PROBLEM_MS,
      );
      timers.current.add(timer);
    },
    [dismiss],
  );

  return { toasts, show, dismiss };
}
