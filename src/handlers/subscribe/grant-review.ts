// Grants that have changed while clients are online: verdicts the core remembers are void at once, and the subscriptions of
// every online session are asked for again, in slices of time. What its client has no right to any more is ended: MQTT has no
// packet to tell it, deliveries stop. Sessions that are away are reviewed when they are resumed.
import type { Connection } from "../../connection/connection.ts";
import { SLOT_ALLOW_ALL } from "../../core/generated/abi.ts";
import type { BrokerSession } from "../../routing/turn/broker-session.ts";
import { describeClient } from "../context/close.ts";
import type { Context } from "../context/context.ts";
import { reviewing } from "./review.ts";

/** Time a review may hold the event loop before others get their turn, ms. */
const SLICE_MS = 2;
/** Steps between looks at the clock. */
const STEPS = 32;

export class GrantReview {
  #steps: Iterator<void> | undefined;
  /** Grants have changed again since the present review began. */
  #again = false;

  /** Nothing is remembered, and whose grants have changed is not allowed everything, until asked again. */
  begin(context: Context): void {
    const { router } = context;
    router.whenFree(() => {
      const { core } = router.border;
      core.forgetVerdicts();
      for (const connection of router.connections) {
        const session = connection?.session;
        if (session === undefined) continue;
        if (session.reviewed !== context.gate.grantsVersion(session.policy, session.identity))
          core.setSlotFlags(session.slot, 0, SLOT_ALLOW_ALL);
      }
      if (this.#steps !== undefined) {
        this.#again = true;
        return;
      }
      this.#steps = reviewOnline(context);
      this.#slice(context);
    });
  }

  #slice(context: Context): void {
    const end = performance.now() + SLICE_MS;
    const steps = this.#steps as Iterator<void>;
    do {
      for (let i = 0; i < STEPS; i++) {
        if (steps.next().done !== true) continue;
        this.#steps = this.#again ? reviewOnline(context) : undefined;
        this.#again = false;
        if (this.#steps !== undefined) this.#later(context);
        return;
      }
    } while (performance.now() < end);
    this.#later(context);
  }

  #later(context: Context): void {
    setImmediate(() => context.router.whenFree(() => this.#slice(context)));
  }
}

/** A step for each client that is online, and for each subscription that is asked for. */
function* reviewOnline(context: Context): Generator<void, void> {
  const { connections } = context.router;
  for (let slot = 0; slot < connections.length; slot++) {
    const connection = connections[slot];
    if (connection?.session !== undefined) yield* reviewSession(context, connection, connection.session);
    yield;
  }
}

/** Asks again for a session's subscriptions where its grants have changed since they were asked for last. */
function* reviewSession(
  context: Context,
  connection: Connection,
  session: BrokerSession,
): Generator<void, void> {
  const version = context.gate.grantsVersion(session.policy, session.identity);
  if (session.reviewed === version) return;
  const withdrawn = (filter: string): void => {
    context.metrics.limit("ended.subscription");
    context.notices.info(
      "ended.subscription",
      { client: connection.clientId, filter },
      "a right was withdrawn: subscription ended",
    );
    if (session.connection === connection && context.events.has("client.unsubscribed"))
      context.events.emit("client.unsubscribed", { ...describeClient(connection), filter });
  };
  yield* reviewing(context, session, "keep", withdrawn);
  session.reviewed = version;
}
