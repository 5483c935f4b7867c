// Names and passwords made for a device that proved itself over HTTPS before [AUTH-15]. They live in memory, for a bounded
// time and in a bounded number; a device that is not known any more asks anew.
import { randomBytes } from "node:crypto";
import type { DeviceRegistry, KnownDevice } from "../registry/index.ts";
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
  /** What was proved. */
  readonly deviceSecret: string;
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
    if (found?.enabled !== true || registry.findProduct(device.productKey)?.authType === "x509")
      return undefined;
    return this.#give(device, found);
  }

  #give(
    device: DeviceId,
    { iotId = randomBytes(12).toString("hex"), deviceSecret }: KnownDevice,
  ): IotCredentials {
    const { tokenSeconds, maxTokens } = this.#parts.settings.auth;
    this.#given.delete(iotId);
    if (this.#given.size >= maxTokens) {
      const [oldest] = this.#given.keys();
      this.#given.delete(oldest);
    }
    const iotToken = randomBytes(16).toString("hex");
    this.#given.set(iotId, {
      device,
      deviceSecret,
      iotToken,
      until: performance.now() + tokenSeconds * 1_000,
    });
    return { iotId, iotToken };
  }

  /** Whose name this is. undefined: no such name, or not any more. */
  find(iotId: string): Given | undefined {
    const given = this.#given.get(iotId);
    if (given === undefined) return undefined;
    if (performance.now() >= given.until) {
      this.#given.delete(iotId);
      return undefined;
    }
    return given;
  }

  /** Is the password right, and is the device still the one that proved itself? Another of the same name has another secret. */
  isProved(given: Given, device: KnownDevice | undefined, password: Uint8Array | undefined): boolean {
    return verifyToken(given.iotToken, password) && device?.deviceSecret === given.deviceSecret;
  }
}
