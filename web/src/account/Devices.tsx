import { LogOut, MonitorSmartphone } from "lucide-react";
import { useTranslation } from "../i18n/useTranslation";
import { endDevice, endOtherDevices, fetchDevices } from "./api";
import { Loading, ProblemBox, Section } from "./parts";
import { useAct } from "./useAct";
import { useLoad } from "./useLoad";
import { useTimes } from "./useTimes";

/** Where the account is signed in. This device ends by signing out. */
export function Devices() {
  const { t } = useTranslation();
  const time = useTimes();
  const { value: devices, problem, reload } = useLoad(fetchDevices);
  const acting = useAct();
  const end = (act: () => Promise<unknown>) => {
    acting.run(async () => {
      await act();
      reload();
    });
  };

  return (
    <Section title={t("account.devices.title")} testId="devices">
      <ProblemBox problem={problem ?? acting.problem} />
      {devices === undefined && problem === null && <Loading />}
      <ul className="account-list">
        {devices?.map((device) => (
          <li key={device.id} data-testid="device" data-this={device.isThis}>
            <MonitorSmartphone size={20} aria-hidden />
            <div>
              <p>
                {device.name}
                {device.isThis && <span className="account-mark">{t("account.devices.this")}</span>}
              </p>
              <p className="account-hint">{t("account.devices.seen", { time: time(device.seenAtMs) })}</p>
            </div>
            {!device.isThis && (
              <button
                type="button"
                className="button small"
                data-testid="end-device"
                aria-label={t("account.devices.endOf", { name: device.name })}
                disabled={acting.busy}
                onClick={() => {
                  end(() => endDevice(device.id));
                }}
              >
                <LogOut size={16} aria-hidden />
                {t("account.devices.end")}
              </button>
            )}
          </li>
        ))}
      </ul>
      {devices !== undefined && devices.length > 2 && (
        <button
          type="button"
          className="button small"
          data-testid="end-others"
          disabled={acting.busy}
          onClick={() => {
            end(endOtherDevices);
          }}
        >
          {t("account.devices.endOthers")}
        </button>
      )}
    </Section>
  );
}
