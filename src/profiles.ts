// From profile names to policy objects: one per (profile, anonymous) pair, shared by the listeners that name it. Holds
// what can be reloaded. The only place that knows profiles by name.
import { AccessList } from "./access/access-list.ts";
import { type AccessHooks, HookedPolicy } from "./access/hooked-policy.ts";
import { PasswordFile } from "./access/password-file.ts";
import type { Policy } from "./access/policy.ts";
import { createStandardPolicy, type StandardPolicy } from "./access/standard-policy.ts";
import { ConfigError, OperationError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { BrokerListener, BrokerOptions, Logger } from "./options.ts";
import type { Platform } from "./platform/platform.ts";

export class Profiles {
  readonly #options: BrokerOptions;
  readonly #limits: Limits;
  readonly #logger: Logger;
  readonly #passwords: PasswordFile | undefined;
  readonly #acl: AccessList | undefined;
  readonly #policies = new Map<string | Policy, HookedPolicy>();
  readonly #standard: StandardPolicy[] = [];
  readonly #hooks = new Set<AccessHooks>();
  /** Told of every hook that throws or rejects. */
  onHookError: () => void = () => {};
  /** Where a listener has the platform profile. */
  #platform: Platform | undefined;

  private constructor(
    options: BrokerOptions,
    limits: Limits,
    logger: Logger,
    passwords?: PasswordFile,
    acl?: AccessList,
  ) {
    this.#options = options;
    this.#limits = limits;
    this.#logger = logger;
    this.#passwords = passwords;
    this.#acl = acl;
  }

  /** Reads the files the options name. Rejects with ConfigError or OperationError. */
  static async load(options: BrokerOptions, limits: Limits, logger: Logger): Promise<Profiles> {
    const passwords =
      options.passwordFile === undefined ? undefined : await PasswordFile.load(options.passwordFile);
    const acl = options.aclFile === undefined ? undefined : await AccessList.load(options.aclFile);
    const profiles = new Profiles(options, limits, logger, passwords, acl);
    // Loaded only where it is used.
    if (
      options.profile === "platform" ||
      options.devices !== undefined ||
      options.listeners?.some((l) => l.profile === "platform")
    ) {
      const { Platform: Loaded } = await import("./platform/platform.ts");
      const { devices: registry, platform: settings, runLogDirectory } = options;
      if (registry !== undefined)
        profiles.#platform = new Loaded({ registry, limits, logger, settings, runLogDirectory });
    }
    return profiles;
  }

  /** The policy of a listener. */
  policy(listener: BrokerListener): Policy {
    const profile = listener.profile ?? this.#options.profile ?? "standard";
    const key = profile === "standard" ? `standard ${listener.anonymous}` : profile;
    let policy = this.#policies.get(key);
    if (policy === undefined) {
      const failed = (hook: string, error: unknown): void => {
        this.onHookError();
        this.#logger.error({ hook, err: error }, "a hook threw; taken as a refusal");
      };
      policy = new HookedPolicy(this.#create(profile, listener), failed, [...this.#hooks]);
      this.#policies.set(key, policy);
    }
    return policy;
  }

  #create(profile: "standard" | "platform" | Policy, listener: BrokerListener): Policy {
    if (typeof profile === "object") return profile;
    const limits = this.#limits;
    if (profile === "standard") {
      const policy = createStandardPolicy({
        passwords: this.#passwords,
        acl: this.#acl,
        anonymous: listener.anonymous,
        limits,
      });
      this.#standard.push(policy);
      return policy;
    }
    if (this.#platform === undefined) {
      throw new ConfigError(
        "DEVICES_MISSING",
        "devices",
        'profile "platform" needs `devices`, a DeviceRegistry to look devices up in',
      );
    }
    return this.#platform.policy;
  }

  get platform(): Platform | undefined {
    return this.#platform;
  }

  /** Throws OperationError PLATFORM_MISSING where no listener has the profile. */
  get neededPlatform(): Platform {
    if (this.#platform === undefined)
      throw new OperationError("PLATFORM_MISSING", "no listener of this broker has the profile `platform`");
    return this.#platform;
  }

  /** A policy for sessions of a namespace that nobody has connected to yet. */
  ofNamespace(namespace: string): Policy {
    for (const policy of this.#policies.values()) if (policy.namespace === namespace) return policy;
    return this.policy({});
  }

  /** Is there a listener for clients of this namespace, or, where there is no listener at all, a default for them? */
  serves(namespace: string): boolean {
    for (const policy of this.#policies.values()) if (policy.namespace === namespace) return true;
    const { listeners = [], profile = "standard" } = this.#options;
    return (
      listeners.length === 0 && (typeof profile === "string" ? profile : profile.namespace) === namespace
    );
  }

  /** Counts up whenever a grant anywhere has changed. */
  get generation(): number {
    let sum = 0;
    for (const policy of this.#policies.values()) sum += policy.generation;
    return sum;
  }

  /** Is this name not the space's any more, see Policy.spaces? */
  leftSpaces(space: string, name: string): boolean {
    for (const { spaces } of this.#policies.values())
      if (spaces !== undefined) return !spaces.covers(name) || spaces.ended?.(space) === true;
    return false;
  }

  use(hooks: AccessHooks): () => void {
    this.#hooks.add(hooks);
    const removers = [...this.#policies.values()].map((policy) => policy.use(hooks));
    return () => {
      this.#hooks.delete(hooks);
      for (const remove of removers) remove();
    };
  }

  /** Reads a file again; the function that is returned hands it to every policy that uses it. */
  async prepare(key: "passwordFile" | "aclFile", path: string): Promise<() => void> {
    const files =
      key === "passwordFile"
        ? { passwords: await PasswordFile.load(path) }
        : { acl: await AccessList.load(path) };
    return () => {
      for (const policy of this.#standard) policy.replace(files);
    };
  }
}
