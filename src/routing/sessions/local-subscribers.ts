// Subscribers inside this process: a slot like any session's, but its deliveries come back as records instead of bytes.
// Listeners run after the run that brought the message, never inside it; one that throws is logged.
import { SLOT_LOCAL } from "../../core/generated/abi.ts";
import type { Identity, Policy } from "../../access/policy.ts";
import type { Logger } from "../../logger.ts";
import { Session } from "../../session/session.ts";
import type { Deliveries } from "../delivery/deliveries.ts";
import { type Message, readMessage } from "../messages/message.ts";
import type { Router } from "../delivery/router.ts";
import { splitShare, type Subscriptions } from "./subscriptions.ts";

const IDENTITY: Identity = { clientId: "", username: undefined, sessionKey: "" };

export class LocalSubscribers {
  readonly #router: Router;
  readonly #deliveries: Deliveries;
  readonly #subscriptions: Subscriptions;
  readonly #logger: Logger;
  /** Slots and their filters, for a rebuilt core. */
  readonly sessions = new Set<Session<never>>();

  constructor(router: Router, deliveries: Deliveries, subscriptions: Subscriptions, logger: Logger) {
    this.#router = router;
    this.#deliveries = deliveries;
    this.#subscriptions = subscriptions;
    this.#logger = logger;
  }

  /** Throws TypeError for an invalid Topic Filter. The result ends the subscription. */
  subscribe(filter: string, listener: (message: Message) => void, qos: 0 | 1 | 2): Promise<() => void> {
    return new Promise((resolve, reject) => {
      this.#router.whenFree(() => {
        const share = splitShare(filter);
        const plain = share?.plain ?? filter;
        if (/[+#]/.test(share?.shareName ?? "") || this.#router.border.checkFilter(plain) !== 0) {
          reject(new TypeError(`subscribe: "${filter}" is not a valid topic filter`));
          return;
        }
        const slot = this.#router.border.openSlot(SLOT_LOCAL);
        if (slot < 0) {
          reject(new Error("subscribe: out of memory"));
          return;
        }
        const session = new Session<never>(`local\0${slot}`, slot, IDENTITY, LOCAL_POLICY as Policy);
        this.sessions.add(session);
        this.#deliveries.receivers[slot] = (view, options) => {
          try {
            const message = readMessage(view, Date.now());
            listener({ ...message, qos: (options & 3) as 0 | 1 | 2 });
          } catch (error) {
            this.#logger.error({ err: error, filter }, "a subscriber in this process failed");
          }
        };
        this.#subscriptions.add(session as never, filter, qos);
        resolve(() => this.#end(session));
      });
    });
  }

  #end(session: Session<never>): void {
    if (!this.sessions.delete(session)) return;
    this.#deliveries.receivers[session.slot] = undefined;
    this.#router.whenFree(() => {
      this.#subscriptions.removeAll(session as never);
      this.#router.border.core.closeSlot(session.slot);
    });
  }
}

/** Local subscribers are the embedder's own code: nobody asks a policy about them. */
const LOCAL_POLICY: Partial<Policy> = { name: "local", namespace: "local" };
