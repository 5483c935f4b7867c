// What a device is, what a new one is given, and what its fields may hold. Objects handed out are never changed.
// Whether it is online, and since when, is no field but a state (presence.ts): it changes with every connection.
import type { DeviceId } from "../../names/user-name.ts";
import { isDeviceName } from "../../names/user-name.ts";
import { checkSecret, checkWords, invalidEntry } from "./product.ts";
import { newDeviceSecret, newIotId } from "./secrets.ts";

/** One of the pairs a device without pre-registration signs in with [DYN-4]. */
export interface DeviceToken {
  readonly clientId: string;
  readonly deviceToken: string;
}

/** MQTT 3.1 and 3.1.1, or 5.0 [NET-3]. */
export type ProtocolFamily = "3.x" | "5";

export interface Device extends DeviceId {
  readonly deviceSecret: string;
  /** Opaque, unique in the registry, never used again. */
  readonly iotId: string;
  /** Empty: none. */
  readonly nickname: string;
  /** False: disabled [AUTH-13]. */
  readonly enabled: boolean;
  /** ms since the epoch. */
  readonly createdAt: number;
  /** First connection, ms since the epoch; undefined: none yet [AUTH-14]. */
  readonly activatedAt: number | undefined;
  /** What it has connected with [NET-3]. */
  readonly protocolFamily: ProtocolFamily | undefined;
  /** In the order they were set. */
  readonly tags: readonly (readonly [key: string, value: string])[];
  /** SHA-256 fingerprint of its certificate, lower-case hex [AUTH-11]. */
  readonly certificate: string | undefined;
  /** The gateway it belongs to [GW-1]. */
  readonly gateway: DeviceId | undefined;
  readonly firmwareVersion: string | undefined;
  readonly tokens: readonly DeviceToken[];
}

/** What is left out is made, or empty. */
export type NewDevice = Pick<Device, "productKey" | "deviceName"> & Partial<Device>;
/** What is left out stays; undefined clears. */
export type DeviceChanges = Partial<
  Omit<Device, "productKey" | "deviceName" | "iotId" | "createdAt" | "enabled">
>;

/** STATUS-2. */
export type DeviceStatus = "UNACTIVE" | "ONLINE" | "OFFLINE" | "DISABLE";

/** What changes with its connections. */
export interface DeviceState {
  readonly status: DeviceStatus;
  /** ms since the epoch; undefined: never, or not known after a crash. */
  readonly lastOnlineAt: number | undefined;
  readonly lastOfflineAt: number | undefined;
  /** Of the last connection. */
  readonly remoteAddress: string | undefined;
}

const MAX_TAGS = 100;
const MAX_TAG_KEY = 64;
const MAX_TAG_VALUE = 128;
/** [DYN-4] */
export const MAX_TOKENS = 5;
const MAX_FIRMWARE_VERSION = 64;

export function completeDevice(fields: NewDevice): Device {
  const device: Device = {
    productKey: fields.productKey,
    deviceName: fields.deviceName,
    deviceSecret: fields.deviceSecret ?? newDeviceSecret(),
    iotId: fields.iotId ?? newIotId(),
    nickname: fields.nickname ?? "",
    enabled: fields.enabled ?? true,
    createdAt: fields.createdAt ?? Date.now(),
    activatedAt: fields.activatedAt,
    protocolFamily: fields.protocolFamily,
    tags: fields.tags ?? [],
    certificate: fields.certificate,
    gateway: fields.gateway,
    firmwareVersion: fields.firmwareVersion,
    tokens: fields.tokens ?? [],
  };
  checkDevice(device);
  return device;
}

/** Throws ConfigError REGISTRY_ENTRY that names the field. */
export function checkDevice(device: Device): void {
  const { deviceName, deviceSecret, iotId, nickname, enabled, tags, certificate, firmwareVersion, tokens } =
    device;
  if (!isDeviceName(deviceName)) {
    throw invalidEntry(
      "deviceName",
      `"${deviceName}": use 4 to 32 characters of letters, digits, "-", "_", "@", ".", ":"`,
    ); // [AUTH-4]
  }
  checkSecret("deviceSecret", deviceSecret);
  if (!/^[A-Za-z0-9]{1,64}$/.test(iotId)) throw invalidEntry("iotId", "is 1 to 64 letters and digits");
  if (typeof enabled !== "boolean") throw invalidEntry("enabled", "is true or false");
  if (nickname !== "") checkWords("nickname", nickname, 64);
  checkTags(tags);
  if (certificate !== undefined && !/^[0-9a-f]{64}$/.test(certificate))
    throw invalidEntry("certificate", "is a SHA-256 fingerprint: 64 lower-case hex digits");
  if (
    firmwareVersion !== undefined &&
    (firmwareVersion === "" || firmwareVersion.length > MAX_FIRMWARE_VERSION)
  )
    throw invalidEntry("firmwareVersion", `has 1 to ${MAX_FIRMWARE_VERSION} characters`);
  if (tokens.length > MAX_TOKENS) throw invalidEntry("tokens", `a device has ${MAX_TOKENS} at most`);
}

function checkTags(tags: Device["tags"]): void {
  if (tags.length > MAX_TAGS) throw invalidEntry("tags", `a device has ${MAX_TAGS} at most`);
  const seen = new Set<string>();
  for (const [key, value] of tags) {
    if (key === "" || key.length > MAX_TAG_KEY)
      throw invalidEntry("tags", `"${key}": a key has 1 to ${MAX_TAG_KEY} characters`);
    if (value.length > MAX_TAG_VALUE)
      throw invalidEntry("tags", `"${key}": a value has at most ${MAX_TAG_VALUE} characters`);
    if (seen.has(key)) throw invalidEntry("tags", `"${key}" stands twice`);
    seen.add(key);
  }
}
