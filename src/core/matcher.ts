// Topic Filters and who wants them: the topic table of a stand-alone core. Ids and options are the caller's numbers.
// `$share/…` is no special filter here: picking one of a group is for the caller to do.
import { detailText } from "../protocol/details.ts";
import { CoreError } from "./core-errors.ts";
import type { Region } from "./region.ts";

const NEW = 0;
const NO_MEMORY = -1;
const NOT_A_STRING = "ill-formed, or longer than 65,535 bytes";
const TOPIC_OFFSET = 65_536; // in the input region, where a filter stands before the topic
const MAX_WORD = 0xffff_ffff;

export class Matcher {
  readonly #region: Region;

  constructor(region: Region) {
    this.#region = region;
  }

  /** Subscriptions: pairs of a filter and an id. */
  get size(): number {
    return this.#region.core.subscriptionCount() >>> 0;
  }
  /** Different filters. */
  get filters(): number {
    return this.#region.core.filterCount() >>> 0;
  }
  /** Bytes of memory they take. */
  get bytes(): number {
    return this.#region.core.tableBytes() >>> 0;
  }

  /**
   * Subscribes an id (0 to 4,294,967,295) to a filter. `options` is a number of the same range that matchInto() gives
   * back. False: the id had the filter already, its options were replaced.
   */
  subscribe(filter: string | Uint8Array, id: number, options = 0): boolean {
    checkWord("id", id);
    checkWord("options", options);
    const length = this.#filter(filter);
    const result = this.#region.core.subscribe(this.#region.input, length, id, options);
    if (result === NO_MEMORY) throw new CoreError("CORE_MEMORY", "the topic table cannot grow any more");
    return result === NEW;
  }

  /** False: the id did not have the filter. */
  unsubscribe(filter: string | Uint8Array, id: number): boolean {
    checkWord("id", id);
    const length = this.#filter(filter);
    return this.#region.core.unsubscribe(this.#region.input, length, id) !== 0;
  }

  /** Ids whose filters match, in no order. An id of several matching filters stands there once for each. */
  match(topic: string | Uint8Array): number[] {
    const ids: number[] = [];
    const runs = this.#scan(topic);
    const { words } = this.#region;
    let list = this.#region.core.listsPtr() >>> 2;
    for (let run = 0; run < runs; run++, list += 2) {
      let item = words[list] >>> 2;
      for (const end = item + 2 * words[list + 1]; item < end; item += 2) ids.push(words[item]);
    }
    return ids;
  }

  /**
   * The same without allocating: writes ids, and their options if an array for them is given, and returns how many there
   * are. That may be more than `ids` has room for; those beyond are not written.
   */
  matchInto(topic: string | Uint8Array, ids: Uint32Array, options?: Uint32Array): number {
    const runs = this.#scan(topic);
    const { words } = this.#region;
    let list = this.#region.core.listsPtr() >>> 2;
    let count = 0;
    for (let run = 0; run < runs; run++, list += 2) {
      let item = words[list] >>> 2;
      for (const end = item + 2 * words[list + 1]; item < end; item += 2, count++) {
        ids[count] = words[item]; // beyond the end of a typed array nothing is written
        if (options !== undefined) options[count] = words[item + 1];
      }
    }
    return count;
  }

  /** Whether a filter matches a topic; no subscription is needed. */
  matches(filter: string | Uint8Array, topic: string | Uint8Array): boolean {
    const { core, input } = this.#region;
    const filterLength = this.#filter(filter);
    const topicLength = this.#topic(topic, input + TOPIC_OFFSET);
    return core.filterMatches(input, filterLength, input + TOPIC_OFFSET, topicLength) !== 0;
  }

  /** Matches a topic; returns how many lists there are at listsPtr(). */
  #scan(topic: string | Uint8Array): number {
    this.#topic(topic, this.#region.input);
    return this.#region.core.matchTopic();
  }

  #topic(topic: string | Uint8Array, at: number): number {
    const length = this.#region.writeString(topic, at);
    if (length < 0) throw new CoreError("CORE_TOPIC", `Topic Name: ${NOT_A_STRING}`);
    const reason = this.#region.core.scanTopicName(at, length);
    if (reason !== 0) throw new CoreError("CORE_TOPIC", detailText(reason));
    return length;
  }

  #filter(filter: string | Uint8Array): number {
    const length = this.#region.writeString(filter, this.#region.input);
    if (length < 0) throw new CoreError("CORE_FILTER", `Topic Filter: ${NOT_A_STRING}`);
    const reason = this.#region.core.scanTopicFilter(this.#region.input, length);
    if (reason !== 0) throw new CoreError("CORE_FILTER", `Topic Filter: ${detailText(reason)}`);
    return length;
  }
}

function checkWord(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > MAX_WORD) {
    throw new CoreError("CORE_ARGUMENT", `${name} ${value}: a whole number from 0 to ${MAX_WORD}`);
  }
}
