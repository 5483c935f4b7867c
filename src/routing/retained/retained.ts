// Retained messages: one per Topic Name, found by Topic Filter. A tree of levels; no message, no node.
// It keeps and finds; who may have what, and when it is sent, is decided elsewhere.
import { NO_EXPIRY } from "../../core/generated/abi.ts";
import { type MessageView, viewMessage } from "../../core/message-view.ts";
import { remainingExpiry } from "../messages/message.ts";
import { TopicNode } from "./topic-tree.ts";

type Node = TopicNode<Buffer>;

/** Cost of an entry besides its message's bytes and its nodes, for the byte limit. */
const OVERHEAD = 120;
/** Cost of a node: a topic of many levels that nobody shares costs far more than its bytes. */
const NODE_COST = 80;
/** Nodes looked at in a search between two steps that find nothing. */
const LOOKS = 64;

export class RetainedMessages {
  readonly #root: Node = new TopicNode();
  readonly #maxCount: number;
  readonly #maxBytes: number;
  /** First levels that are fronts of spaces. */
  readonly #spaces = new Set<string>();
  count = 0;
  bytes = 0;
  #looked = 0;

  constructor(maxCount: number, maxBytes: number) {
    this.#maxCount = maxCount;
    this.#maxBytes = maxBytes;
  }

  /** Keeps a canonical message for a topic. False: over a limit; the old one stays. */
  set(topic: string, message: Buffer): boolean {
    const levels = topic.split("/");
    let known: Node | undefined = this.#root;
    let missing = levels.length;
    for (const level of levels) {
      known = known.get(level);
      if (known === undefined) break;
      missing--;
    }
    const old = known?.value;
    const bytes =
      this.bytes + message.length + missing * NODE_COST + (old === undefined ? OVERHEAD : -old.length);
    if (bytes > this.#maxBytes || (old === undefined && this.count >= this.#maxCount)) return false;
    let node = this.#root;
    for (const level of levels) node = node.grow(level);
    node.value = message;
    if (isFront(levels[0])) this.#spaces.add(levels[0]);
    this.bytes = bytes;
    if (old === undefined) this.count++;
    return true;
  }

  get(topic: string): Buffer | undefined {
    let node: Node | undefined = this.#root;
    for (const level of topic.split("/")) {
      node = node.get(level);
      if (node === undefined) return undefined;
    }
    return node.value;
  }

  /** Forgets the message of a topic; true where there was one. */
  delete(topic: string): boolean {
    const path: [Node, string][] = [];
    let node = this.#root;
    for (const level of topic.split("/")) {
      const child = node.get(level);
      if (child === undefined) return false;
      path.push([node, level]);
      node = child;
    }
    if (node.value === undefined) return false;
    this.bytes -= node.value.length + OVERHEAD;
    this.count--;
    node.value = undefined;
    for (let i = path.length - 1; i >= 0; i--) {
      const [parent, level] = path[i];
      if (!parent.get(level)?.empty) break;
      parent.remove(level);
      if (i === 0 && isFront(level)) this.#spaces.delete(level);
      this.bytes -= NODE_COST;
    }
    return true;
  }

  /**
   * The messages a filter matches, lazily, so that a caller may take a page at a time. What changes meanwhile is seen
   * or not, but never seen stale. Expired ones are passed over; the sweep removes them. A step without a message says
   * only that LOOKS nodes were looked at: most filters find little in a big tree.
   */
  *match(filter: string, now: number): Generator<MessageView | undefined> {
    yield* this.#walk(this.#root, filter.split("/"), 0, now);
  }

  *#walk(node: Node, levels: string[], depth: number, now: number): Generator<MessageView | undefined> {
    if (++this.#looked % LOOKS === 0) yield undefined;
    if (depth === levels.length) {
      if (node.value !== undefined) {
        const view = viewMessage(node.value, 0);
        if (view.expiry === NO_EXPIRY || remainingExpiry(view, now) > 0) yield view;
      }
      return;
    }
    const level = levels[depth];
    if (level === "#") {
      // "sport/#" matches "sport" too [MQTT-4.7.1-2].
      if (depth > 0) yield* this.#walk(node, levels, levels.length, now);
      yield* this.#below(node, levels, depth, now);
    } else if (level === "+") {
      for (const [name, child] of node.children()) {
        if (depth === 0 && isHidden(name)) continue; // [MQTT-4.7.2-1]
        yield* this.#walk(child, levels, depth + 1, now);
      }
    } else {
      const child = node.get(level);
      if (child !== undefined) yield* this.#walk(child, levels, depth + 1, now);
    }
  }

  *#below(node: Node, levels: string[], depth: number, now: number): Generator<MessageView | undefined> {
    for (const [name, child] of node.children()) {
      if (depth === 0 && isHidden(name)) continue;
      yield* this.#walk(child, levels, levels.length, now);
      yield* this.#below(child, levels, depth + 1, now);
    }
  }

  /** Fronts of names that spaces have for themselves, see spacePrefix(). */
  prefixes(): string[] {
    return [...this.#spaces].map((name) => `${name}/`);
  }

  /** Looks for messages that have expired, or whose place is `gone`, a topic per step, and names those. */
  *sweep(
    now: () => number,
    gone: (place: string) => boolean = () => false,
    node = this.#root,
    path?: string,
  ): Generator<string | undefined> {
    if (node.value !== undefined && path !== undefined) {
      const view = viewMessage(node.value, 0);
      yield remainingExpiry(view, now()) === 0 || gone(path) ? path : undefined;
    }
    for (const [name, child] of node.children())
      yield* this.sweep(now, gone, child, path === undefined ? name : `${path}/${name}`);
  }
}

/** No wildcard stands for the server's own names, nor for the front of those of a space, see spacePrefix(). */
function isHidden(name: string): boolean {
  return name.startsWith("$") || isFront(name);
}

function isFront(name: string): boolean {
  return name.endsWith("\0");
}
