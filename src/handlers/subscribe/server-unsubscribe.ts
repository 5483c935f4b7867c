// Subscriptions that the server's side ends for a client that is online: as its own UNSUBSCRIBE would, with no packet either way.
import { type Connection, ONLINE } from "../../connection/connection.ts";
import { ReasonCode } from "../../protocol/reason-codes.ts";
import { splitShare } from "../../routing/sessions/subscriptions.ts";
import type { Context } from "../context/context.ts";
import { leaveFilter, settleRemoved } from "./unsubscribe.ts";

/** Resolves with the reason codes an UNSUBACK would have, in the order of `filters`, once the store has the change. */
export function unsubscribeFor(
  context: Context,
  connection: Connection,
  filters: readonly string[],
): Promise<readonly number[]> {
  const { router, turn } = context;
  return new Promise((resolve, reject) => {
    router.whenFree(() => {
      try {
        const { session } = connection;
        if (connection.state !== ONLINE || session?.connection !== connection) {
          resolve(filters.map(() => ReasonCode.unspecifiedError));
          return;
        }
        const removed: string[] = [];
        const codes = filters.map((filter) =>
          // As at an UNSUBSCRIBE, the part of a shared one behind its name.
          router.border.checkFilter(splitShare(filter)?.plain || filter) === 0
            ? leaveFilter(context, connection, session, filter, removed)
            : ReasonCode.topicFilterInvalid,
        );
        const done = (failure: number): void =>
          resolve(settleRemoved(context, session, removed, codes, failure));
        if (removed.length === 0) done(0);
        else turn.afterCommit((failure) => router.whenFree(() => done(failure)));
      } catch (error) {
        reject(error);
        throw error;
      }
    });
  });
}
