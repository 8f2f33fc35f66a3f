import { useEffect, useState } from "react";
import { type DeviceLists, groupDevices, hasMediaDevices, NO_DEVICES } from "../lib/devices";

/** The devices that can be chosen. `refresh` changes when permission may have been given, which reveals names. */
export function useDevices(refresh: unknown): DeviceLists {
  const [devices, setDevices] = useState(NO_DEVICES);
  useEffect(() => {
    if (!hasMediaDevices()) return;
    let current = true;
    const load = () => {
      navigator.mediaDevices.enumerateDevices().then(
        (list) => {
          if (current) setDevices(groupDevices(list));
        },
        () => undefined, // The list stays as it is; opening a device tells what is wrong.
      );
    };
    load();
    navigator.mediaDevices.addEventListener("devicechange", load);
    return () => {
      current = false;
      navigator.mediaDevices.removeEventListener("devicechange", load);
    };
  }, [refresh]);
  return devices;
}
