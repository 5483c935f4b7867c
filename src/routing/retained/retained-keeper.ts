// Keeps retained messages: here, and in the store where they are worth it. Whether a client may retain is asked elsewhere.
import type { Gate } from "../../access/gate.ts";
import type { Identity, Policy, RetainedBounds } from "../../access/policy.ts";
import { type Limits, LIMITS } from "../../limits.ts";
import type { Metrics } from "../../metrics.ts";
import { type MessageView, messageTopic, viewMessage } from "../../core/message-view.ts";
import { Unsettled } from "../../session/unsettled.ts";
import { messageParts } from "../messages/message.ts";
import type { RetainedMessages } from "./retained.ts";
import { spacePrefix } from "../turn/spaces.ts";
import type { Turn } from "../turn/turn.ts";

/** Whose retained message it is. */
export interface RetainingClient {
  readonly policy: Policy;
  readonly identity: Identity;
}

export class RetainedKeeper {
  readonly messages: RetainedMessages;
  readonly #gate: Gate;
  readonly #turn: Turn;
  readonly #limits: Limits;
  readonly #metrics: Metrics;
  readonly #unsettled = new Unsettled<Buffer>();

  constructor(messages: RetainedMessages, gate: Gate, turn: Turn, limits: Limits, metrics: Metrics) {
    this.messages = messages;
    this.#gate = gate;
    this.#turn = turn;
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /** The store cannot write, and more than enough of what is gone waits for it: what comes might have to go like that. */
  get storeBehind(): boolean {
    return this.#turn.pendingRemovalBytes >= this.#limits.pendingRemovalBytes;
  }

  /**
   * Keeps a canonical message as its topic's retained one; an empty payload clears it. False: over a limit. `refusable`: its
   * sender is refused where the commit fails, and then it is as if it had not come. `client`: whose message it is. What has
   * no space of its own is kept for all of them, in place of what they had under this name; what one of them clears of it is
   * kept for that one as an empty message.
   */
  store(message: Buffer, refusable = false, client?: RetainingClient): boolean {
    const view = viewMessage(message, 0);
    const parts = messageParts(view);
    const name = messageTopic(view);
    const prefix = client ? spacePrefix(client.policy, client.identity.sessionKey, name) : "";
    const topic = prefix + name;
    const before = this.messages.get(topic);
    const clears = parts.payload === parts.payloadEnd;
    const hides = clears && prefix !== "" && this.messages.get(name) !== undefined;
    if (clears && !hides) {
      this.#remove(topic, before, refusable);
      if (client === undefined) this.#replace(name, refusable);
      return true;
    }
    // What the broker says of itself is made anew at each start: not worth a write every few seconds.
    const written = !topic.startsWith("$SYS/");
    if (written && this.storeBehind) {
      this.#metrics.limit(LIMITS.pendingRemovalBytes.metric);
      return false;
    }
    const full = before === undefined && client !== undefined && !hides && this.#isFull(client, name, prefix);
    if (full || !this.messages.set(topic, message)) {
      this.#metrics.refusedRetained++;
      return false;
    }
    if (!written) return true;
    this.#write(topic, message);
    if (refusable) this.#mayFail(topic, before, message);
    if (client === undefined) this.#replace(name, refusable);
    return true;
  }

  #remove(topic: string, before: Buffer | undefined, refusable: boolean): void {
    // Cleared before, perhaps not safely: then it is cleared again.
    if (before === undefined && !this.#unsettled.has(topic)) return;
    this.messages.delete(topic);
    this.#write(topic, undefined);
    if (refusable) this.#mayFail(topic, before, undefined);
  }

  /** What spaces have kept under a name is older than what is kept for all now. */
  #replace(name: string, refusable: boolean): void {
    for (const prefix of this.messages.prefixes())
      this.#remove(prefix + name, this.messages.get(prefix + name), refusable);
  }

  /** The messages a filter matches, those of a space and, for what it has none of its own, those that are kept for all. */
  *match(prefix: string, filter: string, now: number): Generator<MessageView | undefined> {
    yield* this.messages.match(prefix + filter, now);
    if (prefix === "") return;
    for (const view of this.messages.match(filter, now))
      yield view && this.messages.get(prefix + messageTopic(view)) === undefined ? view : undefined;
  }

  /** Where a message lies that match() has found. */
  placeOf(prefix: string, view: MessageView): string {
    const topic = messageTopic(view);
    return this.messages.get(prefix + topic) === undefined ? topic : prefix + topic;
  }

  /** Has this client as many retained messages as it may have? */
  #isFull({ policy, identity }: RetainingClient, topic: string, prefix: string): boolean {
    const bounds = this.#gate.retainedBounds(policy, identity, topic);
    return bounds !== undefined && this.#reaches(bounds, prefix);
  }

  #reaches({ filters, most }: RetainedBounds, prefix: string): boolean {
    if (most === 0) return true;
    const now = Date.now();
    let count = 0;
    for (const filter of filters)
      for (const found of this.messages.match(prefix + filter, now))
        if (found !== undefined && ++count >= most) return true;
    return false;
  }

  /** Forgets a topic's retained message, here and in the store. */
  clear(topic: string): void {
    if (!this.messages.delete(topic)) return;
    this.#write(topic, undefined);
    // Spaces that had cleared it for themselves have nothing to hide any more.
    for (const prefix of this.messages.prefixes()) {
      const hiding = this.messages.get(prefix + topic);
      if (hiding !== undefined && isEmpty(viewMessage(hiding, 0)))
        this.#remove(prefix + topic, hiding, false);
    }
  }

  #write(topic: string, message: Buffer | undefined): void {
    this.#turn.batch.retained(topic, message);
    this.#turn.touch();
  }

  /** Where the commit fails the store may have it all the same, so it is told what stands again. */
  #mayFail(topic: string, before: Buffer | undefined, after: Buffer | undefined): void {
    this.#unsettled.begin(topic, before);
    this.#turn.afterCommit((reason) => {
      const old = this.#unsettled.end(topic, after, reason !== 0);
      // Somebody who is not refused may have set it since.
      if (old === undefined || this.messages.get(topic) !== after) return;
      if (old.safe === undefined) this.clear(topic);
      else if (this.messages.set(topic, old.safe)) this.#write(topic, old.safe);
    });
  }
}

/** Kept only to hide what is kept for all. */
export function isEmpty(view: MessageView): boolean {
  const { payload, payloadEnd } = messageParts(view);
  return payload === payloadEnd;
}
