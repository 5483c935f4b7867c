// $SYS/broker/...: the names Mosquitto's users know, published as retained messages; and the same figures by name for
// broker.metrics(). Read only: nothing here changes the broker.
import { H_DENIED, H_DROPPED, H_QUEUED, H_RECEIVED, H_SENT, H_TOO_LARGE } from "./core/generated/abi.ts";
import type { Connection } from "./connection/connection.ts";
import type { Context } from "./handlers/context.ts";
import type { Metrics } from "./metrics.ts";
import { VERSION } from "./version.ts";

export interface SystemSource {
  readonly context: Context;
  readonly metrics: Metrics;
  readonly connections: ReadonlySet<Connection>;
  readonly startedAt: number;
}

/** All figures by name. */
export function snapshot({ context, metrics, connections }: SystemSource): Record<string, number> {
  const { border } = context.router;
  const { core } = border;
  let online = 0;
  let sent = metrics.bytesSent; // of connections that are gone
  for (const connection of connections) {
    if (connection.session?.connection === connection) online++;
    sent += connection.outbox.settled + connection.outbox.taken;
  }
  const figures: Record<string, number> = {
    "connections.open": connections.size,
    "connections.accepted": metrics.connectionsAccepted,
    "connects.refused": metrics.connectsRefused,
    "clients.connected": online,
    "clients.total": context.sessions.size,
    "subscriptions.count": context.subscriptions.count,
    "subscriptions.shared": context.subscriptions.sharedGroups,
    "retained.count": context.deliveries.retained.messages.count,
    "retained.bytes": context.deliveries.retained.messages.bytes,
    "stored.messages": context.deliveries.queues.owed + context.deliveries.retained.messages.count,
    "stored.bytes": context.deliveries.queues.segments.bytes,
    "wills.waiting": context.wills.waiting,
    "publish.received": border.word(H_RECEIVED),
    "publish.sent": border.word(H_SENT),
    "publish.denied": border.word(H_DENIED),
    "dropped.qos0": border.word(H_DROPPED),
    "dropped.too_large": border.word(H_TOO_LARGE),
    "queued.window": border.word(H_QUEUED),
    "dropped.queue": metrics.droppedQueue,
    "expired.queue": metrics.expiredQueue,
    "refused.retained": metrics.refusedRetained,
    "errors.protocol": metrics.protocolErrors,
    "errors.commit": metrics.commitFailures,
    "errors.hook": metrics.hookErrors,
    "errors.trap": metrics.traps,
    "bytes.received": metrics.bytesReceived,
    "bytes.sent": sent,
    "core.heap": core.heapUsed(),
    "core.memory": core.heapTotal(),
    "core.filters": core.filterCount(),
  };
  for (const [name, value] of metrics.limits) figures[name] = (figures[name] ?? 0) + value;
  return figures;
}

/** Topic below $SYS/broker/ -> figure. */
const TOPICS: readonly [topic: string, figure: string][] = [
  ["clients/connected", "clients.connected"],
  ["clients/active", "clients.connected"],
  ["clients/total", "clients.total"],
  ["subscriptions/count", "subscriptions.count"],
  ["shared_subscriptions/count", "subscriptions.shared"],
  ["retained messages/count", "retained.count"],
  ["messages/stored", "stored.messages"],
  ["store/messages/count", "stored.messages"],
  ["store/messages/bytes", "stored.bytes"],
  ["publish/messages/received", "publish.received"],
  ["publish/messages/sent", "publish.sent"],
  ["publish/messages/dropped", "dropped.all"],
  ["messages/received", "publish.received"],
  ["messages/sent", "publish.sent"],
  ["bytes/received", "bytes.received"],
  ["bytes/sent", "bytes.sent"],
  ["heap/current", "core.heap"],
];

export class SystemTopics {
  readonly #source: SystemSource;
  readonly #publish: (topic: string, payload: string) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #last = new Map<string, string>();
  #maximumClients = 0;

  constructor(source: SystemSource, intervalS: number, publish: (topic: string, payload: string) => void) {
    this.#source = source;
    this.#publish = publish;
    this.#set("version", `millrace version ${VERSION}`);
    this.#timer = setInterval(() => this.#update(), intervalS * 1000);
    this.#timer.unref();
    this.#update();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #update(): void {
    const figures = snapshot(this.#source);
    figures["dropped.all"] = figures["dropped.qos0"] + figures["dropped.queue"];
    this.#maximumClients = Math.max(this.#maximumClients, figures["clients.connected"]);
    for (const [topic, figure] of TOPICS) this.#set(topic, String(figures[figure]));
    this.#set("clients/maximum", String(this.#maximumClients));
    this.#set("clients/inactive", String(figures["clients.total"] - figures["clients.connected"]));
    this.#set("clients/disconnected", String(figures["clients.total"] - figures["clients.connected"]));
    this.#set("uptime", `${Math.floor((Date.now() - this.#source.startedAt) / 1000)} seconds`);
  }

  /** Unchanged values are not published again. */
  #set(topic: string, value: string): void {
    if (this.#last.get(topic) === value) return;
    this.#last.set(topic, value);
    this.#publish(`$SYS/broker/${topic}`, value);
  }
}
