// Lets an embedder have a word in a policy's decisions: interceptors that may veto, synchronous or not, asked in the
// order they were added. A hook that throws or rejects refuses; it never ends the broker. A hook cannot grant what the
// policy refused; the one exception is `authenticate`, which may vouch for a user name in place of the password check.
import type {
  AuthExchange,
  Capabilities,
  ConnectDecision,
  ConnectRefusal,
  ConnectRequest,
  Identity,
  Policy,
  PublishVerdict,
  SubscribeRequest,
  SubscribeVerdict,
} from "./policy.ts";
import { isThenable } from "./settle.ts";

export interface AuthenticateContext {
  readonly request: ConnectRequest;
  /** User name proved by an AUTH exchange or vouched for by an earlier hook. */
  readonly authenticatedAs: string | undefined;
}

export interface PublishContext {
  readonly identity: Identity;
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
}

export interface SubscribeContext {
  readonly identity: Identity;
  readonly request: SubscribeRequest;
}

/** `false` refuses with the packet's usual code, an object with its own; nothing or `true` leaves it to the others. */
export type Objection = boolean | undefined | { readonly reason: number; readonly reasonString?: string };
/** `username`: the client is this user; the policy does not look at the password. */
export type AuthenticateResult = Objection | { readonly username: string };
/** `cacheable`: the hook would say the same again for this client and topic, whatever QoS and RETAIN. */
export type PublishResult = Objection | { readonly allow: boolean; readonly cacheable: boolean };

export interface AccessHooks {
  authenticate?(context: AuthenticateContext): AuthenticateResult | Promise<AuthenticateResult>;
  authorizePublish?(context: PublishContext): PublishResult | Promise<PublishResult>;
  authorizeSubscribe?(context: SubscribeContext): Objection | Promise<Objection>;
}

/** Told of a hook that throws or rejects: to be counted and logged. */
export type HookFailed = (hook: string, error: unknown) => void;

const NOT_AUTHORIZED = 0x87;
type HookName = keyof AccessHooks;
/** `failed`: the hook said nothing, it broke: that is not remembered. */
type Refused = { readonly reason: number; readonly reasonString?: string; readonly failed?: true };

export class HookedPolicy implements Policy {
  readonly #inner: Policy;
  readonly #onFailure: HookFailed;
  readonly #hooks = new Set<AccessHooks>();
  #changes = 0;
  /** There where the policy has them. */
  readonly tapped: Policy["tapped"];
  readonly serve: Policy["serve"];
  readonly limited: Policy["limited"];
  readonly discarded: Policy["discarded"];
  readonly skipped: Policy["skipped"];
  readonly slowed: Policy["slowed"];
  readonly unsent: Policy["unsent"];
  readonly subscribed: Policy["subscribed"];
  readonly unsubscribed: Policy["unsubscribed"];
  readonly subscriptionBounds: Policy["subscriptionBounds"];
  readonly crowdOf: Policy["crowdOf"];
  readonly retainedBounds: Policy["retainedBounds"];
  readonly spaces: Policy["spaces"];

  constructor(inner: Policy, onFailure: HookFailed, hooks: readonly AccessHooks[] = []) {
    this.#inner = inner;
    this.#onFailure = onFailure;
    for (const hook of hooks) this.#hooks.add(hook);
    if (inner.tapped !== undefined) this.tapped = inner.tapped.bind(inner);
    this.spaces = inner.spaces;
    if (inner.subscriptionBounds !== undefined)
      this.subscriptionBounds = inner.subscriptionBounds.bind(inner);
    this.crowdOf = inner.crowdOf?.bind(inner);
    this.retainedBounds = inner.retainedBounds?.bind(inner);
    if (inner.limited !== undefined) this.limited = inner.limited.bind(inner);
    if (inner.discarded !== undefined) this.discarded = inner.discarded.bind(inner);
    if (inner.slowed !== undefined) this.slowed = inner.slowed.bind(inner);
    if (inner.skipped !== undefined) this.skipped = inner.skipped.bind(inner);
    if (inner.unsent !== undefined) this.unsent = inner.unsent.bind(inner);
    if (inner.subscribed !== undefined) this.subscribed = inner.subscribed.bind(inner);
    if (inner.unsubscribed !== undefined) this.unsubscribed = inner.unsubscribed.bind(inner);
    if (inner.serve !== undefined) this.serve = (identity, message) => inner.serve?.(identity, message);
  }

  /** Adds hooks; call the result to take them away. Both void cached verdicts. */
  use(hooks: AccessHooks): () => void {
    this.#hooks.add(hooks);
    this.#changes++;
    return () => {
      if (this.#hooks.delete(hooks)) this.#changes++;
    };
  }

  get name(): string {
    return this.#inner.name;
  }
  get namespace(): string {
    return this.#inner.namespace;
  }
  get capabilities(): Capabilities {
    return this.#inner.capabilities;
  }
  get generation(): number {
    return this.#inner.generation + this.#changes;
  }

  grantsVersion(identity: Identity): number {
    return (this.#inner.grantsVersion?.(identity) ?? this.#inner.generation) + this.#changes;
  }

  connect(request: ConnectRequest, authenticatedAs?: string): ConnectDecision | Promise<ConnectDecision> {
    if (this.#hooks.size === 0) return this.#inner.connect(request, authenticatedAs);
    let username = authenticatedAs;
    const asked = this.#ask(
      "authenticate",
      (hook) => hook.authenticate?.({ request, authenticatedAs: username }),
      (result): Refused | undefined => {
        if (typeof result === "object" && "username" in result) username ??= result.username;
        else return objectionOf(result);
      },
    );
    return then(asked, (refused) => {
      if (refused !== undefined) return connectRefusal(refused);
      return then(this.#inner.connect(request, username), (decision) =>
        // The core must ask for every topic where a hook wants to be asked.
        decision.ok && this.#has("authorizePublish") ? { ...decision, allowAllPublish: false } : decision,
      );
    });
  }

  authorizePublish(
    identity: Identity,
    topic: string,
    qos: number,
    retain: boolean,
  ): PublishVerdict | Promise<PublishVerdict> {
    return then(this.#inner.authorizePublish(identity, topic, qos, retain), (verdict) => {
      if (!verdict.allow || !this.#has("authorizePublish")) return verdict;
      const context: PublishContext = { identity, topic, qos, retain };
      let cacheable = verdict.cacheable ?? true;
      const asked = this.#ask(
        "authorizePublish",
        (hook) => hook.authorizePublish?.(context),
        (result): Refused | undefined => {
          if (typeof result === "object" && "allow" in result) {
            cacheable &&= result.cacheable;
            return result.allow ? undefined : { reason: NOT_AUTHORIZED };
          }
          cacheable = false; // the hook wants to be asked each time
          return objectionOf(result);
        },
      );
      return then(
        asked,
        (refused): PublishVerdict =>
          refused === undefined
            ? { ...verdict, cacheable }
            : {
                allow: false,
                sample: verdict.sample,
                reason: refused.reason,
                reasonString: refused.reasonString,
                cacheable: cacheable && refused.failed !== true,
              },
      );
    });
  }

  authorizeSubscribe(
    identity: Identity,
    request: SubscribeRequest,
  ): SubscribeVerdict | Promise<SubscribeVerdict> {
    return then(this.#inner.authorizeSubscribe(identity, request), (verdict) => {
      if (typeof verdict === "object" || verdict >= 0x80) return verdict;
      const context: SubscribeContext = { identity, request };
      const asked = this.#ask(
        "authorizeSubscribe",
        (hook) => hook.authorizeSubscribe?.(context),
        objectionOf,
      );
      return then(asked, (refused) => {
        if (refused === undefined) return verdict;
        return refused.reasonString === undefined ? refused.reason : refused;
      });
    });
  }

  authorizeDelivery(identity: Identity, topic: string): boolean {
    return this.#inner.authorizeDelivery(identity, topic);
  }
  get deliversAll(): boolean {
    return this.#inner.deliversAll === true;
  }
  authenticate(method: string, request: ConnectRequest): AuthExchange | undefined {
    return this.#inner.authenticate?.(method, request);
  }
  responseInformation(identity: Identity): string | undefined {
    return this.#inner.responseInformation?.(identity);
  }
  arriving(identity: Identity): void {
    this.#inner.arriving?.(identity);
  }
  connected(identity: Identity): void {
    this.#inner.connected?.(identity);
  }
  disconnected(identity: Identity, reason: number, lastSeen: number, detail?: string): void {
    this.#inner.disconnected?.(identity, reason, lastSeen, detail);
  }

  #has(name: HookName): boolean {
    for (const hook of this.#hooks) if (hook[name] !== undefined) return true;
    return false;
  }

  /** Asks one hook after the other until one refuses. Synchronous as long as they are. */
  #ask<T>(
    name: HookName,
    call: (hook: AccessHooks) => T | Promise<T>,
    judge: (result: T) => Refused | undefined,
  ): Refused | undefined | Promise<Refused | undefined> {
    const hooks = [...this.#hooks].filter((hook) => hook[name] !== undefined);
    const next = (index: number): Refused | undefined | Promise<Refused | undefined> => {
      for (let i = index; i < hooks.length; i++) {
        try {
          const result = call(hooks[i]);
          if (isThenable(result)) {
            return Promise.resolve(result)
              .then((value) => judge(value) ?? next(i + 1))
              .catch((error) => this.#failed(name, error));
          }
          const refused = judge(result);
          if (refused !== undefined) return refused;
        } catch (error) {
          return this.#failed(name, error);
        }
      }
    };
    return next(0);
  }

  #failed(name: HookName, error: unknown): Refused {
    this.#onFailure(name, error);
    return { reason: NOT_AUTHORIZED, failed: true };
  }
}

function objectionOf(result: unknown): Refused | undefined {
  if (result === undefined || result === true) return undefined;
  if (result === false) return { reason: NOT_AUTHORIZED };
  const { reason, reasonString } = result as Refused;
  if (!(reason >= 0x80 && reason <= 0xff))
    throw new TypeError(`a hook's refusal needs a reason of 0x80..0xff, not ${reason}`);
  return { reason, reasonString };
}

function connectRefusal({ reason, reasonString }: Refused): ConnectRefusal {
  return { ok: false, code3: CODE3.get(reason) ?? 5, reason, reasonString };
}

// What 3.x has of the reasons a hook may name; everything else is "not authorized".
const CODE3 = new Map<number, ConnectRefusal["code3"]>([
  [0x84, 1],
  [0x85, 2],
  [0x86, 4],
  [0x88, 3],
  [0x89, 3],
  [0x9f, 3],
]);

function then<T, R>(value: T | PromiseLike<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return isThenable(value) ? Promise.resolve(value).then(next) : next(value);
}
