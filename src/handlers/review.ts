// Rights that have changed: verdicts the core remembers are void, and the subscriptions of a session that changes hands are
// asked for again on behalf of its new user, taken away where he has no right.
import type { Connection } from "../connection/connection.ts";
import { SLOT_ALLOW_ALL } from "../core/generated/abi.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import type { BrokerSession } from "../routing/broker-session.ts";
import type { Context } from "./context.ts";

/** ms until a removal that could not be stored is tried again. */
const RETRY_MS = 1_000;

/** A verdict on a Topic Filter as a reason code: what is neither a QoS nor a refusal grants nothing. */
export function subscribeCode(verdict: number): number {
  if (verdict === 0 || verdict === 1 || verdict === 2) return verdict;
  return verdict >= 0x80 && verdict <= 0xff ? verdict : ReasonCode.notAuthorized;
}

/** Grants may have changed: cached verdicts are void, and nobody is allowed everything until asked again. */
export function refreshGrants(context: Context, connections: Iterable<Connection>): void {
  const { router } = context;
  router.whenFree(() => {
    router.border.core.forgetVerdicts();
    for (const connection of connections) {
      if (connection.session?.connection === connection) {
        router.border.core.setSlotFlags(connection.slot, 0, SLOT_ALLOW_ALL);
      }
    }
  });
}

/** Another user has taken the session: subscriptions he has no right to are taken away. */
export function reviewSubscriptions(context: Context, session: BrokerSession): void {
  const { identity } = session;
  for (const { filter, plain, shareName, options } of [...session.subscriptions.values()]) {
    const verdict = context.gate.maySubscribe(session.policy, identity, {
      filter: plain,
      shareName,
      qos: (options & 3) as 0 | 1 | 2,
      level: session.level,
    });
    if (!(verdict instanceof Promise)) {
      if (subscribeCode(verdict) >= 0x80) takeAway(context, session, filter);
      continue;
    }
    // A policy that must think first grants nothing meanwhile.
    takeAway(context, session, filter);
    verdict.then((code) => {
      if (subscribeCode(code) >= 0x80) return;
      context.router.whenFree(() => {
        // He may be gone by now, and the session somebody else's.
        if (session.ended || session.identity !== identity || session.subscriptions.has(filter)) return;
        context.subscriptions.add(session, filter, options);
        note(context, session, filter, options);
      });
    });
  }
}

function takeAway(context: Context, session: BrokerSession, filter: string): void {
  context.subscriptions.remove(session, filter);
  // Nothing that is still under way brings it back.
  session.unsettled?.delete(filter);
  strikeOff(context, session, filter);
}

/** Until the store knows: a restart must not give it back to somebody who may not have it. */
function strikeOff(context: Context, session: BrokerSession, filter: string): void {
  if (!session.persistent) return;
  note(context, session, filter, undefined);
  const again = (): void =>
    context.router.whenFree(() => {
      if (!session.ended && !session.subscriptions.has(filter)) strikeOff(context, session, filter);
    });
  context.turn.afterCommit((reason) => {
    if (reason !== 0) setTimeout(again, RETRY_MS).unref();
  });
}

function note(context: Context, session: BrokerSession, filter: string, options: number | undefined): void {
  if (!session.persistent) return;
  context.turn.batch.subscription(session, filter, options);
  context.turn.touch();
}
