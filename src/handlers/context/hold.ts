// A question that takes time: the connection stands still until it is answered, and nothing behind it is processed.
import type { Connection } from "../../connection/connection.ts";
import type { Context } from "./context.ts";

export interface HoldOptions {
  /** Goes on reading, and keeps what comes: up to half of limits.heldBytes, then it pauses. */
  readonly reading?: boolean;
  /** Waits as long as it takes: for the store, which ends all waiting itself. */
  readonly patient?: boolean;
}

/**
 * Pauses the connection until `answer` settles, then runs `then` and goes on with the input. A rejected promise, or one
 * that takes longer than limits.heldTimeout, counts as `refusal`. Returns false, for the handler to return.
 */
export function hold<T>(
  context: Context,
  connection: Connection,
  answer: Promise<T>,
  refusal: T,
  then: (value: T) => void,
  { reading = false, patient = false }: HoldOptions = {},
): false {
  connection.held = true;
  connection.heldBytes = 0;
  connection.readsHeld = reading;
  connection.heldForStore = patient;
  if (!reading) connection.pause();
  let settled = false;
  const settle = (value: T): void => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    context.router.whenFree(() => {
      connection.held = false;
      if (!connection.open) return;
      try {
        then(value);
      } catch (error) {
        // The router deals with it; who survives that, after a trap of the core, must not stay paused.
        context.router.later(() => goOn(context, connection), connection);
        throw error;
      }
      goOn(context, connection);
    }, connection);
  };
  const expired = (): void => {
    if (!connection.open) return;
    context.metrics.limit("closed.held");
    context.logger.warn({ client: connection.clientId }, "a permission question was not answered in time");
    settle(refusal);
  };
  const timer = patient ? undefined : setTimeout(expired, context.limits.heldTimeout).unref();
  answer.then(settle, (error: unknown) => {
    context.metrics.hookErrors++;
    context.logger.error(
      { err: error, client: connection.clientId },
      "a policy failed; the request counts as refused",
    );
    settle(refusal);
  });
  return false;
}

function goOn(context: Context, connection: Connection): void {
  if (!connection.open) return;
  if (connection.readsHeld) {
    connection.readsHeld = false;
    connection.lastSeen = Date.now();
  } else connection.resume(Date.now());
  context.continue(connection);
}

/** Until what this client has published is with the store: its acknowledgements leave then. */
export function holdForCommits(context: Context, connection: Connection): false {
  const committed = new Promise<undefined>((resolve) => context.turn.afterCommit(() => resolve(undefined)));
  return hold(context, connection, committed, undefined, () => {}, { patient: true });
}

/** What an answer that waits counts, besides what it answers. */
const ANSWER_COST = 1_024;

/**
 * Answers when this turn's commit has ended. False: so many answers wait by now that nothing more is read before; `bytes` is
 * what the answered packet had to say.
 */
export function answerAfterCommit(
  context: Context,
  connection: Connection,
  bytes: number,
  answer: (failure: number) => void,
): boolean {
  const { router, turn, limits, metrics } = context;
  const cost = bytes + ANSWER_COST;
  connection.owedBytes += cost;
  turn.afterCommit((reason) => {
    connection.owedBytes -= cost;
    router.whenFree(() => answer(reason), connection);
  });
  if (connection.owedBytes <= limits.heldBytes) return true;
  metrics.limit("delayed.answers");
  return holdForCommits(context, connection);
}

/** Runs `then` with the answer, now or later; input waits meanwhile. */
export function whenDecided<T>(
  context: Context,
  connection: Connection,
  answer: T | Promise<T>,
  refusal: T,
  then: (value: T) => void,
): void {
  if (answer instanceof Promise) hold(context, connection, answer, refusal, then);
  else then(answer);
}
