// The one door: every permission question of the broker is asked here, whoever brings the message. It puts the question
// to the policy, and turns what goes wrong in a policy or a hook into a refusal.
import type { Metrics } from "../metrics.ts";
import type { Logger } from "../logger.ts";
import type {
  Identity,
  Policy,
  PublishVerdict,
  RetainedBounds,
  ServeResult,
  SubscribeRequest,
  SubscribeVerdict,
} from "./policy.ts";
import type { PublishedMessage } from "./published-message.ts";
import { isThenable } from "./settle.ts";

const NOT_AUTHORIZED = 0x87;
/** What serve() says where the policy has failed: 0x80 for 5.0; before, no acknowledgement, so that the client repeats it. */
export const SERVE_FAILED = -1;
/** What serve() says where there is to be no acknowledgement at all. */
export const UNANSWERED = -2;
/** What PUBACK and PUBREC can say [MQTT-3.4.2-1], [MQTT-3.5.2-1]. */
const ACKNOWLEDGEMENTS = new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
export const REFUSED: PublishVerdict = { allow: false, reason: NOT_AUTHORIZED, cacheable: false };
const NONE_RETAINED: RetainedBounds = { filters: [], most: 0 };

export class Gate {
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #patienceMs: number;

  /** `patienceMs`: limits.heldTimeout. */
  constructor(logger: Logger, metrics: Metrics, patienceMs: number) {
    this.#logger = logger;
    this.#metrics = metrics;
    this.#patienceMs = patienceMs;
  }

  /** May this client's message enter? Asked for PUBLISH, for a Will at CONNECT and when it fires. */
  mayPublish(
    policy: Policy,
    identity: Identity,
    topic: string,
    qos: number,
    retain: boolean,
  ): PublishVerdict | Promise<PublishVerdict> {
    try {
      const verdict = policy.authorizePublish(identity, topic, qos, retain);
      if (!isThenable(verdict)) return checkVerdict(verdict);
      return Promise.resolve(verdict)
        .then(checkVerdict)
        .catch((error) => this.#refuse(error, REFUSED));
    } catch (error) {
      return this.#refuse(error, REFUSED);
    }
  }

  /** Granted QoS, or a reason code >= 0x80. Asked for SUBSCRIBE and again when another connection resumes the session. */
  maySubscribe(
    policy: Policy,
    identity: Identity,
    request: SubscribeRequest,
  ): SubscribeVerdict | Promise<SubscribeVerdict> {
    try {
      const verdict = policy.authorizeSubscribe(identity, request);
      return isThenable(verdict)
        ? Promise.resolve(verdict).catch((error) => this.#refuse(error, NOT_AUTHORIZED))
        : verdict;
    } catch (error) {
      return this.#refuse(error, NOT_AUTHORIZED);
    }
  }

  /** May a stored message leave to this client now? Asked for queued and retained replay. */
  mayReceive(policy: Policy, identity: Identity, topic: string): boolean {
    try {
      // Nothing but a plain yes: a promise is an answer that comes too late.
      return policy.authorizeDelivery(identity, topic) === true;
    } catch (error) {
      return this.#refuse(error, false);
    }
  }

  /** Bounds of a retained message, see Policy; where the policy fails none is kept. */
  retainedBounds(policy: Policy, identity: Identity, topic: string): RetainedBounds | undefined {
    try {
      return policy.retainedBounds?.(identity, topic);
    } catch (error) {
      return this.#refuse(error, NONE_RETAINED);
    }
  }

  /** Hands a policy its copy of a message. */
  tapped(policy: Policy, identity: Identity, message: PublishedMessage, refusal: number): void {
    try {
      policy.tapped?.(identity, message, refusal);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Leaves a message to the policy; the reason code of its acknowledgement, SERVE_FAILED or UNANSWERED. Never rejects. */
  serve(policy: Policy, identity: Identity, message: PublishedMessage): number | Promise<number> {
    try {
      if (policy.serve === undefined) throw new TypeError(`policy ${policy.name} serves no messages`);
      const result = policy.serve(identity, message);
      if (!isThenable(result)) return acknowledgement(result);
      return Promise.resolve(result)
        .then(acknowledgement)
        .catch((error) => this.#refuse(error, SERVE_FAILED));
    } catch (error) {
      return this.#refuse(error, SERVE_FAILED);
    }
  }

  /** Counts up with what this identity may do; NaN, which equals nothing, where the policy fails. */
  grantsVersion(policy: Policy, identity: Identity): number {
    try {
      return policy.grantsVersion?.(identity) ?? policy.generation;
    } catch (error) {
      return this.#refuse(error, Number.NaN);
    }
  }

  /** An answer of this gate that no connection waits for: not given in time it is a refusal, as there. */
  within<T>(answer: Promise<T>, refusal: T): Promise<T> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#metrics.limit("closed.held");
        this.#logger.warn({}, "a permission question was not answered in time");
        resolve(refusal);
      }, this.#patienceMs);
      timer.unref();
      answer.then((value) => {
        clearTimeout(timer);
        resolve(value);
      });
    });
  }

  /** Tells a policy something: whatever goes wrong there changes nothing here. */
  tell(notify: () => void): void {
    try {
      notify();
    } catch (error) {
      this.failed(error);
    }
  }

  /** A policy or a hook has failed: counted and logged. */
  failed(error: unknown): void {
    this.#metrics.hookErrors++;
    this.#logger.error({ err: error }, "a policy failed; the request counts as refused");
  }

  #refuse<T>(error: unknown, refusal: T): T {
    this.failed(error);
    return refusal;
  }
}

function acknowledgement(result: ServeResult): number {
  if (result === "ignored") return UNANSWERED;
  const reason = result ?? 0;
  if (!ACKNOWLEDGEMENTS.has(reason))
    throw new TypeError(`serve() answered ${reason}, which no acknowledgement of a PUBLISH can say`);
  return reason;
}

function checkVerdict(verdict: PublishVerdict): PublishVerdict {
  if (typeof (verdict as PublishVerdict | undefined)?.allow !== "boolean")
    throw new TypeError("authorizePublish() answered no verdict");
  return verdict;
}
