// Keeps retained messages: here, and in the store where they are worth it. Whether a client may retain is asked elsewhere.
import type { Metrics } from "../metrics.ts";
import { messageTopic, viewMessage } from "../core/message-view.ts";
import { messageParts } from "./message.ts";
import type { RetainedMessages } from "./retained.ts";
import type { Turn } from "./turn.ts";

export class RetainedKeeper {
  readonly messages: RetainedMessages;
  readonly #turn: Turn;
  readonly #metrics: Metrics;

  constructor(messages: RetainedMessages, turn: Turn, metrics: Metrics) {
    this.messages = messages;
    this.#turn = turn;
    this.#metrics = metrics;
  }

  /** Keeps a canonical message as its topic's retained one; an empty payload clears it. False: over a limit. */
  store(message: Buffer): boolean {
    const view = viewMessage(message, 0);
    const parts = messageParts(view);
    const topic = messageTopic(view);
    if (parts.payload === parts.payloadEnd) {
      this.clear(topic);
      return true;
    }
    if (!this.messages.set(topic, message)) {
      this.#metrics.refusedRetained++;
      return false;
    }
    // What the broker says of itself is made anew at each start: not worth a write every few seconds.
    if (topic.startsWith("$SYS/")) return true;
    this.#turn.batch.retained(topic, message);
    this.#turn.touch();
    return true;
  }

  /** Forgets a topic's retained message, here and in the store. */
  clear(topic: string): void {
    if (!this.messages.delete(topic)) return;
    this.#turn.batch.retained(topic, undefined);
    this.#turn.touch();
  }
}
