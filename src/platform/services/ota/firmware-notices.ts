// What goes up about firmware: a module's new version, and an upgrade that succeeded or failed. Bodies and topics only.
import type { DeviceId } from "../../names/user-name.ts";
import type { ThingNotice } from "../thing-model/thing-notices.ts";
import { MAIN_MODULE, type Upgrade } from "./firmware-state.ts";

export interface FirmwareNoticeOf {
  readonly device: DeviceId;
  readonly iotId: string | undefined;
  /** ms since the epoch */
  readonly time: number;
}

export function versionNotice(
  about: FirmwareNoticeOf,
  moduleName: string,
  moduleVersion: string,
): ThingNotice {
  return notice(about, "ota/version/post", { moduleName, moduleVersion });
}

export function upgradeNotice(
  about: FirmwareNoticeOf,
  { firmware, state, desc, from }: Upgrade,
): ThingNotice {
  return notice(about, "ota/upgrade", {
    status: state === "done" ? "SUCCEEDED" : "FAILED",
    moduleName: firmware.module ?? MAIN_MODULE,
    srcVersion: from,
    destVersion: firmware.version,
    desc: desc ?? (state === "done" ? "success" : ""),
  });
}

function notice({ device, iotId, time }: FirmwareNoticeOf, path: string, fields: object): ThingNotice {
  const { productKey, deviceName } = device;
  return {
    device,
    topic: `/${productKey}/${deviceName}/${path}`,
    payload: Buffer.from(
      JSON.stringify({ iotId, productKey, deviceName, ...fields, messageCreateTime: time }),
    ),
  };
}
