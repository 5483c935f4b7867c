// Subscriptions asked for again, of a session that changes hands or whose grants have changed; ended where its user has no
// right to them.
import type { SubscribeVerdict } from "../../access/policy.ts";
import { ReasonCode } from "../../protocol/reason-codes.ts";
import type { BrokerSession } from "../../routing/turn/broker-session.ts";
import type { Context } from "../context/context.ts";

/** ms until a removal that could not be stored is tried again. */
const RETRY_MS = 1_000;

/** A verdict on a Topic Filter as a reason code: what is neither a QoS nor a refusal grants nothing. */
export function subscribeCode(verdict: SubscribeVerdict): number {
  if (verdict === 0 || verdict === 1 || verdict === 2) return verdict;
  const code = typeof verdict === "object" && verdict !== null ? verdict.reason : verdict;
  return code >= 0x80 && code <= 0xff ? code : ReasonCode.notAuthorized;
}

/** Asks for all subscriptions of a session at once, see reviewing(). */
export function reviewSubscriptions(
  context: Context,
  session: BrokerSession,
  meanwhile: "keep" | "end",
): void {
  const version = context.gate.grantsVersion(session.policy, session.identity);
  for (const _ of reviewing(context, session, meanwhile));
  session.reviewed = version;
}

/**
 * Asks for the subscriptions of a session again, one a step, and ends those its user has no right to. `meanwhile`: what
 * becomes of one whose policy must think first, until it has answered. `ended` is told of each that ends.
 */
export function* reviewing(
  context: Context,
  session: BrokerSession,
  meanwhile: "keep" | "end",
  ended: (filter: string) => void = () => {},
): Generator<void, void> {
  const { identity } = session;
  for (const subscription of [...session.subscriptions.values()]) {
    const { filter, plain, shareName, options } = subscription;
    // Between two steps the session may have ended, changed hands, or subscribed anew.
    if (session.ended || session.identity !== identity) return;
    if (session.subscriptions.get(filter) !== subscription) continue;
    const verdict = context.gate.maySubscribe(session.policy, identity, {
      filter: plain,
      shareName,
      qos: (options & 3) as 0 | 1 | 2,
      level: session.level,
    });
    if (!(verdict instanceof Promise)) {
      if (subscribeCode(verdict) >= 0x80) {
        takeAway(context, session, filter);
        ended(filter);
      }
    } else {
      if (meanwhile === "end") takeAway(context, session, filter);
      context.gate.within(verdict, ReasonCode.notAuthorized).then((code) =>
        context.router.whenFree(() => {
          // He may be gone by now, and the session somebody else's.
          if (session.ended || session.identity !== identity) return;
          const now = session.subscriptions.get(filter);
          if (subscribeCode(code) >= 0x80) {
            if (now !== subscription) return;
            takeAway(context, session, filter);
            ended(filter);
          } else if (now === undefined && meanwhile === "end") {
            context.subscriptions.add(session, filter, options);
            note(context, session, filter, options);
          }
        }),
      );
    }
    yield;
  }
}

function takeAway(context: Context, session: BrokerSession, filter: string): void {
  context.subscriptions.remove(session, filter);
  // Whom a filter counts for may have changed with the rights to it.
  session.owners = undefined;
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
