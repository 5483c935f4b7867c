// What handlers work with: the broker's parts, put together in composition.ts. No logic of its own.
import type { Gate } from "../../access/gate.ts";
import type { Connection } from "../../connection/connection.ts";
import type { Limits } from "../../limits.ts";
import type { LogBudget } from "../../log-budget.ts";
import type { Metrics } from "../../metrics.ts";
import type { Logger } from "../../logger.ts";
import type { BrokerMemory } from "../../routing/turn/broker-memory.ts";
import type { Deliveries } from "../../routing/delivery/deliveries.ts";
import type { RetainedReplay } from "../../routing/retained/retained-replay.ts";
import type { Router } from "../../routing/delivery/router.ts";
import type { SessionRegistry } from "../../routing/sessions/session-registry.ts";
import type { Subscriptions } from "../../routing/sessions/subscriptions.ts";
import type { Turn } from "../../routing/turn/turn.ts";
import type { Wills } from "../../routing/sessions/wills.ts";
import type { BrokerEvents, EventHub } from "../../events.ts";

export interface Context {
  readonly router: Router;
  readonly deliveries: Deliveries;
  readonly sessions: SessionRegistry;
  readonly subscriptions: Subscriptions;
  readonly retainedReplay: RetainedReplay;
  readonly wills: Wills;
  readonly turn: Turn;
  readonly gate: Gate;
  /** Grants have changed, see grant-review.ts. */
  readonly grants: { begin(context: Context): void };
  readonly memory: BrokerMemory;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** For what clients that are refused or closed cause to be logged. */
  readonly notices: LogBudget;
  readonly events: EventHub<BrokerEvents>;
  readonly sharedMoveAtDisconnect: boolean;
  /** Goes on with input that waited for an answer. */
  continue(connection: Connection): void;
}
