// A message of the server itself: checked like a client's, kept where it is retained, and sent. What the promise says is true
// for every slice of it.
import { INPUT_SIZE, M_ANSWERED, M_UNMETERED, NO_SLOT } from "../../core/generated/abi.ts";
import { viewMessage } from "../../core/message-view.ts";
import { OperationError } from "../../errors.ts";
import type { Deliveries } from "./deliveries.ts";
import type { Told } from "./injections.ts";
import { canonicalMessage, type Message, messageParts } from "../messages/message.ts";
import type { Router } from "./router.ts";
import type { Turn } from "../turn/turn.ts";

/** Of a canonical message, see assembly/abi.ts. */
const FLAGS_OFFSET = 4;
const STORE_FAILED = "the store failed; see the log";

interface Parts {
  readonly router: Router;
  readonly deliveries: Deliveries;
  readonly turn: Turn;
}

export interface ServerPublishOptions {
  /** The rate of all deliveries together does not count it. */
  readonly unmetered?: boolean;
  /** The caller looks at what became of it: no policy is told that it was dropped. */
  readonly answered?: boolean;
}

/** Resolves by the same promise as a PUBACK, QoS 0 when it is on its way; see Broker.publish(). */
export function publishFromServer(
  { router, deliveries, turn }: Parts,
  message: Message,
  { unmetered = false, answered = false }: ServerPublishOptions = {},
): Promise<Told> {
  return new Promise((resolve, reject) => {
    router.whenFree(() => {
      // Not before: looking at a topic disturbs a fan-out that is only interrupted.
      if (router.border.checkTopic(message.topic) !== 0) {
        reject(new TypeError(`publish: "${message.topic}" is not a valid topic name`));
        return;
      }
      let canonical: Buffer;
      try {
        canonical = flagged(canonicalMessage(message, NO_SLOT, Date.now()), unmetered, answered);
      } catch (error) {
        reject(error);
        return;
      }
      // The bound that a client's packet has as well: without its payload a message lies in the core as a whole.
      const head = messageParts(viewMessage(canonical, 0)).payload;
      if (head > INPUT_SIZE) {
        reject(new RangeError(`publish: topic and properties of ${head} bytes are too long`));
        return;
      }
      const awaited = message.qos > 0 || message.retain;
      let failure = 0;
      const watch = (): void => {
        if (awaited)
          turn.afterCommit((reason) => {
            failure ||= reason;
          });
      };
      let kept = true;
      if (message.retain) {
        try {
          kept = deliveries.retained.store(canonical, true);
        } catch (error) {
          reject(error);
          throw error;
        }
        watch();
      }
      router.injections.add({
        message: canonical,
        refusable: true,
        sliced: watch,
        failed: reject,
        done: (told, missed) => {
          if (missed && turn.storeFails) reject(new Error(STORE_FAILED));
          else if (missed)
            reject(
              new OperationError(
                "BROKER_FULL",
                "a subscriber missed the message: limits.brokerBytes is reached",
              ),
            );
          else if (!kept) reject(new Error("the retained message was not kept: a limit is reached"));
          else if (!awaited) resolve(told);
          // Commits end in their order: behind the last one stands what became of all.
          else
            turn.afterCommit((reason) =>
              (reason || failure) === 0 ? resolve(told) : reject(new Error(STORE_FAILED)),
            );
        },
      });
    });
  });
}

/** Marks a canonical message that is not stored yet. */
export function flagged(message: Buffer, unmetered: boolean, answered: boolean): Buffer {
  const flags = message.readUInt32LE(FLAGS_OFFSET);
  message.writeUInt32LE(flags | (unmetered ? M_UNMETERED : 0) | (answered ? M_ANSWERED : 0), FLAGS_OFFSET);
  return message;
}
