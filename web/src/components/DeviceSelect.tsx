import type { LucideIcon } from "lucide-react";
import { useId } from "react";
import { useTranslation } from "../i18n/useTranslation";

interface Props {
  label: string;
  icon: LucideIcon;
  devices: readonly MediaDeviceInfo[];
  value: string;
  onChange: (deviceId: string) => void;
}

export function DeviceSelect({ label, icon: Icon, devices, value, onChange }: Props) {
  const { t } = useTranslation();
  const id = useId();
  const known = devices.some((device) => device.deviceId === value);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="select">
        <Icon size={18} aria-hidden />
        <select
          id={id}
          value={known ? value : ""}
          disabled={devices.length === 0}
          onChange={(event) => {
            onChange(event.target.value);
          }}
        >
          {!known && <option value="">{t("lobby.systemDefault")}</option>}
          {devices.map((device, index) => (
            <option key={device.deviceId} value={device.deviceId}>
              {device.label || t("lobby.unnamed", { number: index + 1 })}
            </option>
          ))}
        </select>
      </div>
    </div>
  );
}
