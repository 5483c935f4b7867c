// What is known of a device's firmware: the version of each module, and of each module the upgrade it was told of last and
// how far it came. Values and their text; no topics.
import type { Documents } from "../../registry/table/documents.ts";
import type { DeviceId } from "../../names/user-name.ts";

export interface Firmware {
  readonly version: string;
  readonly url: string;
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sign: string;
  readonly signMethod: "SHA256" | "Md5";
  /** Default: "default", the device's main firmware. */
  readonly module?: string;
  /** Handed on as it is. */
  readonly extData?: unknown;
}

export interface Upgrade {
  readonly firmware: Firmware;
  /** `pushed`: told. `progress`: the device reported a step. `done`: it reported the new version. `failed`: a negative step. */
  readonly state: "pushed" | "progress" | "done" | "failed";
  /** Percent, or -1 upgrade, -2 download, -3 check, -4 writing failed. */
  readonly step: number | undefined;
  readonly desc: string | undefined;
  /** Version of the module when it was told. */
  readonly from: string | undefined;
  /** Last change, ms since the epoch. */
  readonly time: number;
}

export interface FirmwareState {
  /** Version by module. */
  readonly versions: ReadonlyMap<string, string>;
  /** By module. */
  readonly upgrades: ReadonlyMap<string, Upgrade>;
  /** When the device last reported something new, ms since the epoch. */
  readonly reportedAt?: number;
}

/** Kind of the documents. */
export const FIRMWARE_KIND = "firmware";

export const MAIN_MODULE = "default";
export const NO_FIRMWARE: FirmwareState = { versions: new Map(), upgrades: new Map() };

/** A device reported a version; the upgrade to it is done. The same state: it says so with every start, and nothing is new. */
export function informed(state: FirmwareState, module: string, version: string, time: number): FirmwareState {
  const upgrades = new Map(state.upgrades);
  const upgrade = upgrades.get(module);
  const done = upgrade?.firmware.version === version && upgrade.state !== "done";
  if (done) upgrades.set(module, { ...upgrade, state: "done", time });
  else if (state.versions.get(module) === version) return state;
  return { versions: new Map([...state.versions, [module, version]]), upgrades, reportedAt: time };
}

/** The same state: there is no upgrade under way that a step could belong to. */
export function progressed(
  state: FirmwareState,
  module: string,
  step: number,
  desc: string | undefined,
  time: number,
): FirmwareState {
  const upgrade = state.upgrades.get(module);
  if (upgrade === undefined || upgrade.state === "done") return state;
  const next: Upgrade = { ...upgrade, state: step < 0 ? "failed" : "progress", step, desc, time };
  return { ...state, upgrades: new Map([...state.upgrades, [module, next]]), reportedAt: time };
}

export function pushed(state: FirmwareState, firmware: Firmware, time: number): FirmwareState {
  const module = firmware.module ?? MAIN_MODULE;
  const from = state.versions.get(module);
  const upgrade: Upgrade = { firmware, state: "pushed", step: undefined, desc: undefined, from, time };
  return { ...state, upgrades: new Map([...state.upgrades, [module, upgrade]]) };
}

export function encodeFirmware({ versions, upgrades, reportedAt }: FirmwareState): string {
  return JSON.stringify([[...versions], [...upgrades], reportedAt]);
}

/** As the disk has it: a change of the last second may be missing. */
export function keptFirmware(documents: Documents, device: DeviceId): FirmwareState | undefined {
  const text = documents.get(FIRMWARE_KIND, firmwareKey(device));
  return text === undefined ? undefined : decodeFirmware(text);
}

export function firmwareKey({ productKey, deviceName }: DeviceId): string {
  return `${productKey}/${deviceName}`;
}

export function decodeFirmware(text: string): FirmwareState {
  const [versions, upgrades, reportedAt] = JSON.parse(text) as [
    [string, string][],
    [string, Upgrade][],
    (number | null)?,
  ];
  return { versions: new Map(versions), upgrades: new Map(upgrades), reportedAt: reportedAt ?? undefined };
}
