// Subscriptions of sessions, and their counterpart in the core's topic table. The maps here are the truth: the core's
// table is rebuilt from them after a trap.
import type { Policy } from "../../access/policy.ts";
import { topicMatches } from "../../access/topic-filters.ts";
import type { Border } from "../../core/border.ts";
import { type Subscription, subscriptionCost } from "../../session/session.ts";
import { Unsettled } from "../../session/unsettled.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import { Crowds } from "./crowds.ts";
import { spacePrefix } from "../turn/spaces.ts";

interface Group {
  /** The filter, behind the space it means something in. */
  readonly key: string;
  readonly id: number;
  readonly plain: string;
  members: number;
}

/** Splits `$share/NAME/filter`. Undefined: not a shared subscription. An invalid one has an empty `plain`. */
export function splitShare(filter: string): { shareName: string; plain: string } | undefined {
  if (!filter.startsWith("$share/")) return undefined;
  const slash = filter.indexOf("/", 7);
  if (slash <= 7) return { shareName: "", plain: "" };
  return { shareName: filter.slice(7, slash), plain: filter.slice(slash + 1) };
}

export class Subscriptions {
  readonly #border: () => Border;
  readonly #groups = new Map<string, Group>();
  readonly #groupById: (Group | undefined)[] = [];
  readonly #freeGroups: number[] = [];
  #nextGroup = 0;
  readonly #crowds = new Crowds();
  count = 0;

  constructor(border: () => Border) {
    this.#border = border;
  }

  /** Subscribes, or replaces the options of the same filter in place [MQTT-3.8.4-3]. False: memory is short. */
  add(session: BrokerSession, filter: string, options: number): { added: boolean; replaced: boolean } {
    const old = session.subscriptions.get(filter);
    const share = splitShare(filter);
    const plain = share?.plain ?? filter;
    const group =
      share === undefined
        ? undefined
        : this.#group(groupKey(session.policy, session.identity.sessionKey, filter, plain), plain);
    const border = this.#border();
    const result =
      group === undefined
        ? border.addFilter(plain, session.slot, options)
        : border.addShared(plain, group.id, session.slot, options);
    if (result < 0) {
      if (group !== undefined && group.members === 0) this.#dropGroup(group);
      return { added: false, replaced: false };
    }
    if (group !== undefined && old === undefined) group.members++;
    if (old === undefined) {
      this.count++;
      session.subscriptionBytes += subscriptionCost(filter);
      countFor(session, plain, 1);
      this.#crowd(session.policy, plain, session.slot, true);
    }
    const subscription: Subscription = {
      filter,
      plain,
      shareName: share?.shareName,
      group: group?.id ?? -1,
      options,
      since: old === undefined ? Date.now() : old.since,
    };
    session.subscriptions.set(filter, subscription);
    return { added: true, replaced: old !== undefined };
  }

  /** Enters a filter of a dormant session. */
  addDormant(policy: Policy, sessionKey: string, slot: number, filter: string, options: number): void {
    const share = splitShare(filter);
    const border = this.#border();
    if (share === undefined) border.addFilter(filter, slot, options);
    else {
      const group = this.#group(groupKey(policy, sessionKey, filter, share.plain), share.plain);
      border.addShared(share.plain, group.id, slot, options);
      group.members++;
    }
    this.#crowd(policy, share?.plain ?? filter, slot, true);
    this.count++;
  }

  /** The subscription that a session has under a filter, for one that wakes. */
  describe(policy: Policy, sessionKey: string, filter: string, options: number, since: number): Subscription {
    const share = splitShare(filter);
    if (share === undefined)
      return { filter, plain: filter, shareName: undefined, group: -1, options, since };
    return {
      filter,
      plain: share.plain,
      shareName: share.shareName,
      group: this.#groups.get(groupKey(policy, sessionKey, filter, share.plain))?.id ?? -1,
      options,
      since,
    };
  }

  /** False: there was no such subscription. */
  remove(session: BrokerSession, filter: string): boolean {
    const subscription = session.subscriptions.get(filter);
    if (subscription === undefined) return false;
    session.subscriptions.delete(filter);
    session.subscriptionBytes -= subscriptionCost(filter);
    countFor(session, subscription.plain, -1);
    this.#crowd(session.policy, subscription.plain, session.slot, false);
    this.count--;
    const border = this.#border();
    if (subscription.shareName === undefined) {
      border.removeFilter(subscription.plain, session.slot);
      return true;
    }
    border.removeShared(subscription.plain, subscription.group, session.slot);
    const group = this.#groupById[subscription.group];
    if (group !== undefined && --group.members === 0) this.#dropGroup(group);
    return true;
  }

  /** A change of a kept subscription begins to be stored; `before` is what stood there, undefined: nothing. */
  changing(session: BrokerSession, filter: string, before: number | undefined): void {
    session.unsettled ??= new Unsettled();
    session.unsettled.begin(filter, before);
  }

  /**
   * The oldest change under way has ended, and has made `options` of the subscription unless it failed. What the store has
   * stands again where the newest one failed: what the store does not know must not be true here either.
   */
  settled(session: BrokerSession, filter: string, options: number | undefined, failed: boolean): void {
    const before = session.unsettled?.end(filter, options, failed);
    if (before === undefined || session.ended) return;
    if (before.safe === undefined) this.remove(session, filter);
    else this.add(session, filter, before.safe);
  }

  /** Would the store still have a subscription that is gone here? */
  mayBeStored(session: BrokerSession, filter: string): boolean {
    return session.unsettled?.has(filter) ?? false;
  }

  /** How many a session holds that count for one owner, see Policy.subscriptionBounds. Counted from when it is first asked. */
  heldFor(session: BrokerSession, owner: string): number {
    if (session.owners === undefined) {
      session.owners = new Map();
      for (const { plain } of session.subscriptions.values()) countFor(session, plain, 1);
    }
    return session.owners.get(owner) ?? 0;
  }

  /** Would a session, under this filter, be one receiver too many of a topic? */
  isCrowded({ policy, slot }: BrokerSession, plain: string, most: number): boolean {
    const name = policy.crowdOf?.(plain);
    return name !== undefined && this.#crowds.isFull(`${policy.namespace}\0${name}`, plain, slot, most);
  }

  #crowd(policy: Policy, plain: string, slot: number, enters: boolean): void {
    const name = policy.crowdOf?.(plain);
    if (name === undefined) return;
    const key = `${policy.namespace}\0${name}`;
    if (enters) this.#crowds.enter(key, plain, slot);
    else this.#crowds.leave(key, plain, slot);
  }

  removeAll(session: BrokerSession): void {
    for (const filter of [...session.subscriptions.keys()]) this.remove(session, filter);
  }

  /** Puts a session's filters into a fresh core. */
  restore(session: BrokerSession): void {
    const border = this.#border();
    for (const s of session.subscriptions.values()) {
      if (s.shareName === undefined) border.addFilter(s.plain, session.slot, s.options);
      else border.addShared(s.plain, s.group, session.slot, s.options);
    }
  }

  /** May a group be handed a message on this topic? Its number may have belonged to another one when it was noted. */
  groupTakes(id: number, topic: string): boolean {
    const group = this.#groupById[id];
    return group !== undefined && topicMatches(group.plain, topic);
  }

  /** The group in which a session would get a message on this topic; -1: none. For numbers noted by an earlier process. */
  groupOf(session: BrokerSession, topic: string): number {
    for (const { group, plain } of session.subscriptions.values())
      if (group >= 0 && topicMatches(plain, topic)) return group;
    return -1;
  }

  get sharedGroups(): number {
    return this.#groups.size;
  }

  #group(key: string, plain: string): Group {
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { key, id: this.#freeGroups.pop() ?? this.#nextGroup++, plain, members: 0 };
      this.#groups.set(key, group);
      this.#groupById[group.id] = group;
    }
    return group;
  }

  #dropGroup(group: Group): void {
    this.#groups.delete(group.key);
    this.#groupById[group.id] = undefined;
    this.#freeGroups.push(group.id);
  }
}

/** The same share name and filter in two spaces is two groups. */
function groupKey(policy: Policy, sessionKey: string, filter: string, plain: string): string {
  return spacePrefix(policy, sessionKey, plain) + filter;
}

function countFor({ owners, policy, identity }: BrokerSession, plain: string, by: 1 | -1): void {
  if (owners === undefined) return;
  const owner = policy.subscriptionBounds?.(identity, plain).owner ?? "";
  const count = (owners.get(owner) ?? 0) + by;
  if (count > 0) owners.set(owner, count);
  else owners.delete(owner);
}
