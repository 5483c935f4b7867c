// Firmware of devices (OTA): takes versions and progress, answers who asks for an upgrade, and tells devices of one. State
// is written in groups, as posts of properties are. Where firmware lies and who shall have it is the server's side's.
import { ConfigError } from "../../../errors.ts";
import { type DeviceRegistry, Registry } from "../../registry/index.ts";
import type { Documents } from "../../registry/table/documents.ts";
import type { DeviceId } from "../../names/user-name.ts";
import type { AlinkCall, AlinkDesk, AlinkOutcome } from "../alink/alink-desk.ts";
import { GroupedDocuments } from "../../registry/table/grouped-documents.ts";
import { isObject, type JsonObject, own } from "../../shared/json.ts";
import type { DeviceMessage, Devices, PushOutcome, Route, Service } from "../../contract/service.ts";
import {
  decodeFirmware,
  encodeFirmware,
  FIRMWARE_KIND,
  type Firmware,
  firmwareKey,
  type FirmwareState,
  informed,
  MAIN_MODULE,
  NO_FIRMWARE,
  progressed,
  pushed,
} from "./firmware-state.ts";
import { upgradeNotice, versionNotice } from "./firmware-notices.ts";
import type { ThingNotice } from "../thing-model/thing-notices.ts";

export interface FirmwareParts {
  readonly desk: AlinkDesk;
  readonly devices: Pick<Devices, "push">;
  readonly registry: DeviceRegistry;
  readonly documents: Documents;
  readonly maxModules: number;
  readonly flushMs: number;
  readonly cacheBytes: number;
  failed(error: unknown): void;
  readonly now?: () => number;
}

const MAX_VERSION = 64;
const MAX_DESC = 256;
const MAX_URL = 2_048;
const MAX_EXTRA_BYTES = 4_096;

export class FirmwareService implements Service {
  readonly routes: readonly Route[];
  readonly #parts: FirmwareParts;
  readonly #now: () => number;
  readonly #kept: GroupedDocuments<FirmwareState>;

  constructor(parts: FirmwareParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
    this.#kept = new GroupedDocuments({
      documents: parts.documents,
      kind: FIRMWARE_KIND,
      flushMs: parts.flushMs,
      cacheBytes: parts.cacheBytes,
      encode: encodeFirmware,
      decode: decodeFirmware,
      costOf: (state) => 256 + encodeFirmware(state).length,
      failed: parts.failed,
    });
    this.routes = [
      {
        pattern: "/ota/device/inform/{pk}/{dn}",
        consumes: true,
        handle: (message) => this.#informed(message),
      },
      {
        pattern: "/ota/device/progress/{pk}/{dn}",
        consumes: true,
        handle: (message) => this.#progressed(message),
      },
      {
        pattern: "/ota/device/request/{pk}/{dn}",
        consumes: true,
        handle: (message) => this.#requested(message),
      },
      parts.desk.route("thing/ota/firmware/get", (call) => this.#asked(call)),
    ];
  }

  get(device: DeviceId): FirmwareState {
    return this.#kept.get(firmwareKey(device)) ?? NO_FIRMWARE;
  }

  /** Tells a device of firmware, and again whenever it asks, until it has it. Rejects with ConfigError THING_FIRMWARE. */
  async upgrade(device: DeviceId, firmware: Firmware, traceId?: string): Promise<PushOutcome> {
    const checked = checkFirmware(firmware);
    const next = pushed(this.get(device), checked, this.#now());
    if (next.upgrades.size > this.#parts.maxModules)
      throw wrong("module", `a device has upgrades of ${this.#parts.maxModules} modules at most`);
    this.#kept.set(firmwareKey(device), next);
    await this.#kept.flush();
    return this.#tell(device, checked, traceId);
  }

  forget(device: DeviceId): Promise<void> {
    return this.#kept.remove(firmwareKey(device));
  }

  flush(): Promise<void> {
    return this.#kept.flush();
  }

  close(): Promise<void> {
    return this.#kept.close();
  }

  #informed(message: DeviceMessage): void | Promise<void> {
    const { device, payload, time } = message;
    const params = this.#paramsOf(payload);
    const version = params && own(params, "version");
    const module = params && moduleOf(params);
    if (typeof version !== "string" || version === "" || version.length > MAX_VERSION || module === undefined)
      return this.#refuse(message, "no version, or no name of a module");
    const before = this.get(device);
    if (!before.versions.has(module) && before.versions.size >= this.#parts.maxModules)
      return this.#refuse(message, "the device has too many modules");
    // A device says so with every start: mostly there is nothing new.
    const after = informed(before, module, version, time);
    if (after !== before && !this.#kept.full) {
      this.#kept.set(firmwareKey(device), after);
      this.#parts.desk.tell(message, () => this.#notices(message, module, before, after));
    }
    return module === MAIN_MODULE ? this.#register(device, version) : undefined;
  }

  #paramsOf(payload: Buffer): JsonObject | undefined {
    const params = this.#parts.desk.parse(payload)?.params;
    return isObject(params) ? params : undefined;
  }

  /** The registry knows the main firmware's version. */
  async #register({ productKey, deviceName }: DeviceId, firmwareVersion: string): Promise<void> {
    const { registry } = this.#parts;
    if (!(registry instanceof Registry)) return;
    const known = registry.findDevice(productKey, deviceName);
    if (known === undefined || known.firmwareVersion === firmwareVersion) return;
    await registry.updateDevice(productKey, deviceName, { firmwareVersion });
  }

  #progressed(message: DeviceMessage): void {
    const { device, payload, time } = message;
    const params = this.#paramsOf(payload);
    const module = params && moduleOf(params);
    const step = params && stepOf(own(params, "step"));
    if (params === undefined || module === undefined || step === undefined) {
      this.#refuse(message, "no step, or no name of a module");
      return;
    }
    if (this.#kept.full) return;
    const desc = own(params, "desc");
    const text = typeof desc === "string" ? desc.slice(0, MAX_DESC) : undefined;
    const before = this.get(device);
    const after = progressed(before, module, step, text, time);
    if (after === before) return;
    this.#kept.set(firmwareKey(device), after);
    this.#parts.desk.tell(message, () => this.#notices(message, module, before, after));
  }

  /** There is no reply to tell the device by. */
  #refuse(message: DeviceMessage, text: string): void {
    this.#parts.desk.log(message, message.topic, 460, text);
  }

  /** New versions, and upgrades that ended. */
  #notices(
    { device, time }: DeviceMessage,
    module: string,
    before: FirmwareState,
    after: FirmwareState,
  ): ThingNotice[] {
    const iotId = this.#parts.desk.known(device)?.iotId;
    const version = after.versions.get(module);
    const told: ThingNotice[] = [];
    if (version !== undefined && version !== before.versions.get(module))
      told.push(versionNotice({ device, iotId, time }, module, version));
    const upgrade = after.upgrades.get(module);
    if (upgrade !== undefined && upgrade.state !== before.upgrades.get(module)?.state)
      if (upgrade.state === "done" || upgrade.state === "failed")
        told.push(upgradeNotice({ device, iotId, time }, upgrade));
    return told;
  }

  /** Asks for its upgrade; without one there is no answer. */
  async #requested({ device, payload, traceId }: DeviceMessage): Promise<void> {
    const params = this.#paramsOf(payload);
    const module = params && moduleOf(params);
    const firmware = module === undefined ? undefined : this.#pending(device, module);
    if (firmware !== undefined) await this.#tell(device, firmware, traceId);
  }

  #asked({ message, request: { params = {} } }: AlinkCall): AlinkOutcome {
    const module = isObject(params) ? moduleOf(params) : undefined;
    if (module === undefined) return { code: 460 };
    const firmware = this.#pending(message.device, module);
    return { code: 200, data: firmware === undefined ? {} : dataOf(firmware) };
  }

  #pending(device: DeviceId, module: string): Firmware | undefined {
    const upgrade = this.get(device).upgrades.get(module);
    return upgrade === undefined || upgrade.state === "done" ? undefined : upgrade.firmware;
  }

  #tell(device: DeviceId, firmware: Firmware, traceId?: string): Promise<PushOutcome> {
    const topic = `/ota/device/upgrade/${device.productKey}/${device.deviceName}`;
    const id = Math.floor(this.#now() / 1_000);
    const payload = JSON.stringify({ code: "1000", data: dataOf(firmware), id, message: "success" });
    return this.#parts.devices.push(device, { topic, payload, qos: 1, traceId }, "declared");
  }
}

/** Every field the SDKs insist on. */
function dataOf({ module, extData, ...fields }: Firmware): object {
  return {
    ...fields,
    ...(module !== undefined && module !== MAIN_MODULE && { module }),
    ...(extData !== undefined && { extData }),
  };
}

function moduleOf(params: Parameters<typeof own>[0]): string | undefined {
  const module = own(params, "module") ?? MAIN_MODULE;
  return typeof module === "string" && isModule(module) ? module : undefined;
}

function isModule(text: string): boolean {
  return /^[A-Za-z0-9._-]{1,64}$/.test(text);
}

/** A number, mostly written as text. */
function stepOf(value: unknown): number | undefined {
  const step = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof step === "number" && Number.isInteger(step) && step >= -100 && step <= 100 ? step : undefined;
}

function checkFirmware(firmware: Firmware): Firmware {
  const { version, url, size, sign, signMethod, module, extData } = firmware;
  if (typeof version !== "string" || version === "" || version.length > MAX_VERSION)
    throw wrong("version", `has 1 to ${MAX_VERSION} characters`);
  if (typeof url !== "string" || url === "" || url.length > MAX_URL)
    throw wrong("url", `has 1 to ${MAX_URL} characters`);
  if (!Number.isSafeInteger(size) || size < 1) throw wrong("size", "is a whole number of bytes");
  const digits = { SHA256: 64, Md5: 32 }[signMethod];
  if (digits === undefined) throw wrong("signMethod", "is SHA256 or Md5");
  if (!/^[0-9a-fA-F]+$/.test(sign) || sign.length !== digits) throw wrong("sign", `is ${digits} hex digits`);
  if (module !== undefined && !isModule(module))
    throw wrong("module", 'has 1 to 64 of letters, digits, ".", "_", "-"');
  if (extData !== undefined && Buffer.byteLength(JSON.stringify(extData)) > MAX_EXTRA_BYTES)
    throw wrong("extData", `has ${MAX_EXTRA_BYTES} bytes at most`);
  return { version, url, size, sign, signMethod, module, extData };
}

function wrong(field: string, message: string): ConfigError {
  return new ConfigError("THING_FIRMWARE", field, `${field}: ${message}`);
}
