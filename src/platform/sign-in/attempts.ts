// How often somebody may try to connect. What is counted for a device are its own attempts, with right credentials; wrong
// ones count for the device and the address they come from, so that no stranger locks a device out by its name [CONN-3].
// A refused attempt is not counted: a device that hammers is let in as soon as the window frees.
import type { ConnectRefusal } from "../../access/policy.ts";
import { SlidingRates } from "../shared/sliding-rates.ts";
import type { PlatformSettings } from "../settings/settings.ts";
import { type DeviceId, keyOf } from "../names/user-name.ts";
import { type Claim, refuse } from "./answer.ts";

const MINUTE_MS = 60_000;

export class Attempts {
  readonly #codes: PlatformSettings["codes"];
  readonly #own: SlidingRates;
  readonly #failures: SlidingRates;
  /** Of a product's secret, which all its devices share: whichever of them an address names. */
  readonly #registrations: SlidingRates;
  readonly #overHttp: SlidingRates;
  readonly #account: SlidingRates;

  constructor({ codes, connection, dynreg, http }: PlatformSettings) {
    this.#codes = codes;
    this.#own = new SlidingRates(connection.attemptsPerMinute, MINUTE_MS);
    this.#failures = new SlidingRates(connection.failuresPerMinute, MINUTE_MS, connection.trackedFailures);
    this.#registrations = new SlidingRates(dynreg.failuresPerMinute, MINUTE_MS, connection.trackedFailures);
    this.#overHttp = new SlidingRates(http.failuresPerMinute, MINUTE_MS, connection.trackedFailures);
    this.#account = new SlidingRates(connection.attemptsPerSecond, 1_000);
  }

  /** A refusal where this address has failed too often for this device. Says nothing of the device. */
  beforeProof({ device, request }: Claim): ConnectRefusal | undefined {
    return this.isBarred(device, request.stream.remoteAddress) ? this.#tooOften() : undefined;
  }

  /** Wrong signature, wrong token, unknown device: one answer for all of them [AUTH-13]. */
  failed({ device, request }: Claim): ConnectRefusal {
    this.noteFailure(device, request.stream.remoteAddress);
    return refuse(this.#codes.credentials, "Bad user name or password");
  }

  /** Has this address failed too often for this device? */
  isBarred(device: DeviceId, remoteAddress: string): boolean {
    // Nearly always: then no key is made.
    if (this.#failures.size === 0) return false;
    return this.#failures.isFull(strangerKey(device, remoteAddress), performance.now());
  }

  noteFailure(device: DeviceId, remoteAddress: string): void {
    this.#failures.admit(strangerKey(device, remoteAddress), performance.now());
  }

  /** The same of a registration with the product's secret [DYN-6]. */
  beforeRegistration({ device, request }: Claim): ConnectRefusal | undefined {
    return this.isProductBarred(device, request.stream.remoteAddress) ? this.#tooOften() : undefined;
  }

  /** Has this address failed too often for this product? */
  isProductBarred({ productKey }: DeviceId, remoteAddress: string): boolean {
    return this.#registrations.isFull(`${productKey}/${remoteAddress}`, performance.now());
  }

  noteRegistration({ productKey }: DeviceId, remoteAddress: string): void {
    this.#registrations.admit(`${productKey}/${remoteAddress}`, performance.now());
  }

  /** Has this address failed too often over HTTP, whomever it named? */
  isBarredOverHttp(remoteAddress: string): boolean {
    return this.#overHttp.isFull(remoteAddress, performance.now());
  }

  noteOverHttp(remoteAddress: string): void {
    this.#overHttp.admit(remoteAddress, performance.now());
  }

  /** Counts an attempt with right credentials; `key` says whose it is, and is the device's own name by default. */
  afterProof({ device }: Claim, key = keyOf(device)): ConnectRefusal | undefined {
    const now = performance.now();
    if (this.#own.isFull(key, now)) return this.#tooOften();
    if (!this.#account.admit("", now))
      return refuse(this.#codes.account, "Too many connection attempts of all devices"); // [CONN-4]
    this.#own.admit(key, now);
    return undefined;
  }

  #tooOften(): ConnectRefusal {
    return refuse(this.#codes.attempts, "Too many connection attempts");
  }
}

function strangerKey({ productKey, deviceName }: DeviceId, remoteAddress: string): string {
  return `${productKey}/${deviceName}/${remoteAddress}`;
}
