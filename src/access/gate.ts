// The one door: every permission question of the broker is asked here, whoever brings the message. It puts the question
// to the policy, and turns what goes wrong in a policy or a hook into a refusal.
import type { Metrics } from "../metrics.ts";
import type { Logger } from "../options.ts";
import type { Identity, Policy, PublishVerdict, SubscribeRequest, SubscribeVerdict } from "./policy.ts";

const NOT_AUTHORIZED = 0x87;
const REFUSED: PublishVerdict = { allow: false, reason: NOT_AUTHORIZED, cacheable: false };

export class Gate {
  readonly #logger: Logger;
  readonly #metrics: Metrics;

  constructor(logger: Logger, metrics: Metrics) {
    this.#logger = logger;
    this.#metrics = metrics;
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
      return verdict instanceof Promise ? verdict.catch((error) => this.#refuse(error, REFUSED)) : verdict;
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
      return verdict instanceof Promise
        ? verdict.catch((error) => this.#refuse(error, NOT_AUTHORIZED))
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
