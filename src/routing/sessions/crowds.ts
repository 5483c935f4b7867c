// Who would get a message, for topics with a bound of receivers [TOPIC-9]: the sessions under each filter of a crowd, which is
// all filters that may have a topic in common. Counts receivers of a topic, under whichever filters; bounds nothing itself.
import { filtersOverlap, topicMatches } from "../../access/topic-filters.ts";

/** Slots, and under how many subscriptions each: with share names a filter may be held twice. */
type Holders = Map<number, number>;

interface Crowd {
  /** By Topic Name. */
  readonly exact: Map<string, Holders>;
  /** By filters with wildcards. */
  readonly wild: Map<string, Holders>;
}

// Each question looks at every filter of the crowd: a device that makes up filters must not make it dear.
/** Filters with wildcards in a crowd. */
export const CROWD_WILDCARDS = 1_000;
/** Topic Names in a crowd beyond which no wildcard is added to it. */
export const CROWD_TOPICS = 10_000;

export class Crowds {
  readonly #crowds = new Map<string, Crowd>();

  enter(name: string, plain: string, slot: number): void {
    let crowd = this.#crowds.get(name);
    if (crowd === undefined) {
      crowd = { exact: new Map(), wild: new Map() };
      this.#crowds.set(name, crowd);
    }
    const side = sideOf(crowd, plain);
    const holders = side.get(plain);
    if (holders === undefined) side.set(plain, new Map([[slot, 1]]));
    else holders.set(slot, (holders.get(slot) ?? 0) + 1);
  }

  leave(name: string, plain: string, slot: number): void {
    const crowd = this.#crowds.get(name);
    const holders = crowd && sideOf(crowd, plain).get(plain);
    const times = holders?.get(slot);
    if (crowd === undefined || holders === undefined || times === undefined) return;
    if (times > 1) holders.set(slot, times - 1);
    else holders.delete(slot);
    if (holders.size === 0) sideOf(crowd, plain).delete(plain);
    if (crowd.exact.size + crowd.wild.size === 0) this.#crowds.delete(name);
  }

  /** Would this session, under this filter, be one receiver too many of some topic? */
  isFull(name: string, plain: string, slot: number, most: number): boolean {
    const crowd = this.#crowds.get(name);
    if (crowd === undefined) return most === 0;
    const { exact, wild } = crowd;
    if (!isWild(plain)) {
      const receivers = new Set(exact.get(plain)?.keys());
      for (const [filter, holders] of wild)
        if (topicMatches(filter, plain)) for (const holder of holders.keys()) receivers.add(holder);
      return !receivers.has(slot) && receivers.size >= most;
    }
    if (!wild.has(plain) && (wild.size >= CROWD_WILDCARDS || exact.size > CROWD_TOPICS)) return true;
    // Those under overlapping wildcards may all get one topic that nobody has named yet.
    const base = new Set<number>([slot]);
    for (const [filter, holders] of wild)
      if (filtersOverlap(filter, plain)) for (const holder of holders.keys()) base.add(holder);
    if (base.size > most) return true;
    for (const [topic, holders] of exact) {
      if (base.size + holders.size <= most || !topicMatches(plain, topic)) continue;
      let size = base.size;
      for (const holder of holders.keys()) if (!base.has(holder)) size++;
      if (size > most) return true;
    }
    return false;
  }
}

function isWild(plain: string): boolean {
  return plain.includes("+") || plain.includes("#");
}

function sideOf({ exact, wild }: Crowd, plain: string): Map<string, Holders> {
  return isWild(plain) ? wild : exact;
}
