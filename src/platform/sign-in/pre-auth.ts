// Names and passwords made for a device that proved itself over HTTPS before [AUTH-15]. They live in memory, for a bounded
// time and in a bounded number; a device that is not known any more asks anew.
import { randomBytes } from "node:crypto";
import type { DeviceRegistry } from "../registry/index.ts";
import type { PlatformSettings } from "../settings/settings.ts";
import type { DeviceId } from "../names/user-name.ts";
import type { Attempts } from "./attempts.ts";
import { type SignMethod, verifySignature } from "./signature.ts";
import { verifyToken } from "./token.ts";

export interface PreAuthRequest {
  readonly device: DeviceId;
  readonly method: SignMethod;
  readonly clientId: string | undefined;
  readonly timestamp: string | undefined;
  readonly sign: Uint8Array;
  readonly remoteAddress: string;
}

export interface IotCredentials {
  readonly iotId: string;
  readonly iotToken: string;
}

/** What the HTTP side asks of sign-in. */
export interface DeviceSignIn {
  /** "barred": that address has failed too often for that device. undefined: a wrong triple. */
  preAuthenticate(request: PreAuthRequest): Promise<IotCredentials | "barred" | undefined>;
}

interface Given {
  readonly device: DeviceId;
  readonly iotToken: string;
  /** ms, monotonic */
  readonly until: number;
}

export interface PreAuthParts {
  readonly registry: DeviceRegistry;
  readonly settings: PlatformSettings;
  readonly attempts: Attempts;
}

export class PreAuth implements DeviceSignIn {
  readonly #parts: PreAuthParts;
  /** By iotId, the oldest first. */
  readonly #given = new Map<string, Given>();

  constructor(parts: PreAuthParts) {
    this.#parts = parts;
  }

  async preAuthenticate(request: PreAuthRequest): Promise<IotCredentials | "barred" | undefined> {
    const { registry, settings, attempts } = this.#parts;
    const { device, method, clientId, timestamp, sign, remoteAddress } = request;
    if (attempts.isBarred(device, remoteAddress)) return "barred";
    const found = await registry.findDevice(device.productKey, device.deviceName);
    const input = { clientId, ...device, timestamp };
    if (!verifySignature(method, found?.deviceSecret, input, sign, settings.auth.optionalSignatureFields)) {
      attempts.noteFailure(device, remoteAddress);
      return undefined;
    }
    return found?.enabled === true
      ? this.#give(device, found.iotId ?? randomBytes(12).toString("hex"))
      : undefined;
  }

  #give(device: DeviceId, iotId: string): IotCredentials {
    const { tokenSeconds, maxTokens } = this.#parts.settings.auth;
    this.#given.delete(iotId);
    if (this.#given.size >= maxTokens) {
      const [oldest] = this.#given.keys();
      this.#given.delete(oldest);
    }
    const iotToken = randomBytes(16).toString("hex");
    this.#given.set(iotId, { device, iotToken, until: performance.now() + tokenSeconds * 1_000 });
    return { iotId, iotToken };
  }

  /** Whose name this is, and whether the password is right. undefined: no such name, or not any more. */
  find(iotId: string, password: Uint8Array | undefined): { device: DeviceId; proved: boolean } | undefined {
    const given = this.#given.get(iotId);
    if (given === undefined) return undefined;
    if (performance.now() >= given.until) {
      this.#given.delete(iotId);
      return undefined;
    }
    return { device: given.device, proved: verifyToken(given.iotToken, password) };
  }
}
