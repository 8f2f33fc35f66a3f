import { type ComponentType, useState } from "react";

/**
 * A part of the page that is fetched when it is first asked for: unlike with `lazy`, a server that is not reached then
 * does not take the call from the page.
 */
export function useLater<Props>(load: () => Promise<{ default: ComponentType<Props> }>, onFailed: () => void) {
  const [Part, setPart] = useState<ComponentType<Props> | null>(null);
  const [open, setOpen] = useState(false);
  return {
    Part: open ? Part : null,
    open: () => {
      setOpen(true);
      load().then(
        (module) => {
          setPart(() => module.default);
        },
        () => {
          setOpen(false);
          onFailed();
        },
      );
    },
    close: () => {
      setOpen(false);
    },
  };
}
