// First connections of devices [AUTH-14] [NET-3], written many in one change: a fleet that signs in for the first time would
// else make one for each device. Nobody waits for them to be written.
import type { DeviceId } from "../../names/user-name.ts";
import type { Device, ProtocolFamily } from "../devices/device.ts";
import { readDevice, replaceDevice, type Staging } from "../changes/edits.ts";
import { deviceKey, productKeyOf } from "../table/keys.ts";
import type { Draft } from "../table/table.ts";

export interface Activation {
  readonly id: DeviceId;
  /** undefined: signed in with a token, whose protocol family says nothing of the device. */
  readonly family: ProtocolFamily | undefined;
  /** ms since the epoch. */
  readonly at: number;
}

/** The device as a connection leaves it. */
export function activatedDevice(before: Device, family: Activation["family"], at: number): Device {
  // Field by field: a fleet that connects for the first time makes one for each device, and a spread that replaces fields is slow.
  return {
    productKey: before.productKey,
    deviceName: before.deviceName,
    deviceSecret: before.deviceSecret,
    iotId: before.iotId,
    nickname: before.nickname,
    enabled: before.enabled,
    createdAt: before.createdAt,
    activatedAt: before.activatedAt ?? at,
    protocolFamily: familyBehind(before, family),
    tags: before.tags,
    certificate: before.certificate,
    gateway: before.gateway,
    firmwareVersion: before.firmwareVersion,
    tokens: before.tokens,
  };
}

/** A connection of this family changes nothing of the device. */
export function isActivated(device: Device, family: Activation["family"]): boolean {
  return device.activatedAt !== undefined && device.protocolFamily === familyBehind(device, family);
}

/** [NET-3] */
function familyBehind({ protocolFamily }: Device, family: Activation["family"]): Device["protocolFamily"] {
  return protocolFamily === "5" ? "5" : (family ?? protocolFamily);
}

export interface ActivationsOptions {
  readonly change: <T>(work: (draft: Draft) => T, effect: (result: T) => void) => Promise<T>;
  readonly find: (id: DeviceId) => Device | undefined;
  readonly staging: Staging;
  /** Told when it is kept. */
  readonly activated: (device: Device) => void;
  readonly failed: (error: unknown) => void;
}

export class Activations {
  readonly #options: ActivationsOptions;
  #waiting: Activation[] = [];

  constructor(options: ActivationsOptions) {
    this.#options = options;
  }

  add(activation: Activation): void {
    this.#waiting.push(activation);
    if (this.#waiting.length > 1) return;
    const { change, activated, failed } = this.#options;
    change(
      (draft) => this.#write(draft),
      (devices) => devices.forEach(activated),
    ).catch(failed);
  }

  #write(draft: Draft): readonly Device[] {
    const activations = this.#waiting;
    this.#waiting = [];
    const changed: Device[] = [];
    const products = new Map<string, boolean>();
    for (const { id, family, at } of activations) {
      const { productKey } = id;
      let known = products.get(productKey);
      if (known === undefined) {
        known = draft.get(productKeyOf(productKey)) !== undefined;
        products.set(productKey, known);
      }
      const before = known ? this.#read(draft, id) : undefined;
      // Deleted meanwhile.
      if (before === undefined) continue;
      // Of one that has just signed in that is done, and only the table does not know.
      const after = isActivated(before, family) ? before : activatedDevice(before, family, at);
      replaceDevice(draft, before, after);
      changed.push(after);
    }
    return changed;
  }

  /** Decoded once already where it has just signed in. */
  #read(draft: Draft, id: DeviceId): Device | undefined {
    if (!draft.writes(deviceKey(id))) return this.#options.find(id);
    const found = readDevice(draft, id, this.#options.staging);
    return found === "staged" ? undefined : found;
  }
}
