// Subscriptions that the server's side makes for a client that is online: asked for at the same gate, bounded and stored as
// those of its own SUBSCRIBE, with no packet either way.
import type { SubscribeVerdict } from "../../access/policy.ts";
import { type Connection, ONLINE } from "../../connection/connection.ts";
import type { Subscription } from "../../protocol/packet.ts";
import { ReasonCode } from "../../protocol/reason-codes.ts";
import type { BrokerSession } from "../../routing/turn/broker-session.ts";
import type { Context } from "../context/context.ts";
import { splitShare } from "../../routing/sessions/subscriptions.ts";
import { reviewSubscriptions } from "./review.ts";
import { ask, type Entering, enterFilter } from "./subscribe.ts";

/** Resolves with granted QoS or reason codes, in their order: as a SUBACK would say, and by the same promise. */
export function subscribeFor(
  context: Context,
  connection: Connection,
  filters: readonly string[],
  qos: 0 | 1 | 2,
): Promise<readonly number[]> {
  const { router, gate } = context;
  return new Promise((resolve, reject) => {
    const guarded = (action: () => void) => (): void => {
      try {
        action();
      } catch (error) {
        reject(error);
        throw error;
      }
    };
    router.whenFree(
      guarded(() => {
        const { session } = connection;
        if (connection.state !== ONLINE || session?.connection !== connection) {
          resolve(filters.map(() => ReasonCode.unspecifiedError));
          return;
        }
        const subscriptions = filters.map((filter) => subscriptionOf(context, filter, qos));
        const verdicts = subscriptions.map((one) => ask(context, connection, session, one));
        if (!verdicts.some((verdict) => verdict instanceof Promise)) {
          enterAll(context, connection, session, subscriptions, verdicts as SubscribeVerdict[], resolve);
          return;
        }
        const version = gate.grantsVersion(session.policy, session.identity);
        const refusals = filters.map((): SubscribeVerdict => ReasonCode.notAuthorized);
        void gate.within(Promise.all(verdicts), refusals).then((decided) =>
          router.whenFree(
            guarded(() => {
              // Gone by now, or the session somebody else's: nothing is done for it.
              const same = connection.state === ONLINE && session.connection === connection;
              if (!same) resolve(filters.map(() => ReasonCode.unspecifiedError));
              else enterAll(context, connection, session, subscriptions, decided, resolve);
              if (same && gate.grantsVersion(session.policy, session.identity) !== version)
                reviewSubscriptions(context, session, "keep");
            }),
          ),
        );
      }),
    );
  });
}

function subscriptionOf({ router }: Context, filter: string, qos: 0 | 1 | 2): Subscription {
  // Of a shared one the part behind its name; one without a name, or without a filter, is refused by ask().
  const defect = router.border.checkFilter(splitShare(filter)?.plain || filter);
  return {
    filter,
    qos,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0,
    ...(defect !== 0 && { defect }),
  };
}

function enterAll(
  context: Context,
  connection: Connection,
  session: BrokerSession,
  subscriptions: readonly Subscription[],
  verdicts: readonly SubscribeVerdict[],
  resolve: (codes: readonly number[]) => void,
): void {
  const { turn, router, retainedReplay } = context;
  const started: Entering = { replays: [], entered: [] };
  const codes = subscriptions.map((one, i) =>
    enterFilter(context, connection, session, one, verdicts[i], 0, started),
  );
  const done = (failure: number): void => {
    for (const { filter, options } of started.entered)
      context.subscriptions.settled(session, filter, options, failure !== 0);
    resolve(codes.map((code) => (code < 0x80 && failure !== 0 ? failure : code)));
    if (failure !== 0 || !connection.open) return;
    for (const { filter, options } of started.replays) retainedReplay.start(session, filter, options);
  };
  if (session.persistent && turn.batch.dirty)
    turn.afterCommit((reason) => router.whenFree(() => done(reason)));
  else done(0);
}
