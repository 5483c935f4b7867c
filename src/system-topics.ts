// $SYS/broker/...: the names Mosquitto's users know, published as retained messages; and the same figures by name for
// broker.metrics(). Read only: nothing here changes the broker.
import {
  H_DENIED,
  H_DROPPED,
  H_LIMITED,
  H_OTHERS_IN,
  H_OTHERS_OUT,
  H_OVER_RATE,
  H_OVER_RATE_OF_ALL,
  H_QUEUED,
  H_QUEUED_RATE,
  H_RECEIVED,
  H_RX_BYTES,
  H_SENT,
  H_TOO_LARGE,
  H_TX_BYTES,
} from "./core/generated/abi.ts";
import type { Connection } from "./connection/connection.ts";
import type { Context } from "./handlers/context/context.ts";
import type { Metrics } from "./metrics.ts";
import { LOAD_MINUTES, LoadAverage } from "./system-load.ts";
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
  // Of connections that are gone, and then of those that are open.
  let sent = metrics.bytesSent;
  let packetsSent = metrics.packetsSent;
  for (const connection of connections) {
    if (connection.session?.connection === connection) online++;
    sent += connection.outbox.settled + connection.outbox.taken;
    packetsSent += connection.outbox.packets;
  }
  const figures: Record<string, number> = {
    "connections.open": connections.size,
    "connections.accepted": metrics.connectionsAccepted,
    "connects.received": metrics.connects,
    "connects.refused": metrics.connectsRefused,
    "clients.connected": online,
    "clients.total": context.sessions.size,
    "sessions.unserved": context.sessions.unserved.size,
    "clients.expired": metrics.sessionsExpired,
    "subscriptions.count": context.subscriptions.count,
    "subscriptions.shared": context.subscriptions.sharedGroups,
    "retained.count": context.deliveries.retained.messages.count,
    "retained.bytes": context.deliveries.retained.messages.bytes,
    "stored.messages": context.deliveries.queues.owed + context.deliveries.retained.messages.count,
    "stored.bytes": context.deliveries.queues.segments.bytes,
    "held.bytes": context.memory.bytes,
    "wills.waiting": context.wills.waiting,
    "packets.received":
      border.count(H_RECEIVED) +
      border.count(H_DENIED) +
      border.count(H_LIMITED) +
      border.count(H_OTHERS_IN) +
      metrics.packetsReceived,
    "packets.sent": border.count(H_SENT) + border.count(H_OTHERS_OUT) + packetsSent,
    "publish.received": border.count(H_RECEIVED),
    "publish.sent": border.count(H_SENT),
    "publish.received_bytes": border.count(H_RX_BYTES),
    "publish.sent_bytes": border.count(H_TX_BYTES),
    "publish.denied": border.count(H_DENIED) + context.wills.denied,
    "dropped.qos0": border.count(H_DROPPED),
    "dropped.rate": border.count(H_LIMITED),
    "dropped.delivery_rate": border.count(H_OVER_RATE),
    "dropped.delivery_rate_of_all": border.count(H_OVER_RATE_OF_ALL),
    "dropped.too_large": border.count(H_TOO_LARGE),
    "queued.window": border.count(H_QUEUED),
    "queued.rate": border.count(H_QUEUED_RATE),
    "dropped.queue": metrics.droppedQueue,
    "expired.queue": metrics.expiredQueue,
    "refused.retained": metrics.refusedRetained,
    "errors.protocol": metrics.protocolErrors,
    "errors.commit": metrics.commitFailures,
    "errors.hook": metrics.hookErrors,
    "errors.reload": metrics.failedReloads,
    "errors.trap": metrics.traps,
    "errors.internal": metrics.handlerErrors,
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
  ["clients/expired", "clients.expired"],
  ["subscriptions/count", "subscriptions.count"],
  ["shared_subscriptions/count", "subscriptions.shared"],
  ["retained messages/count", "retained.count"],
  ["messages/stored", "stored.messages"],
  ["store/messages/count", "stored.messages"],
  ["store/messages/bytes", "stored.bytes"],
  ["publish/messages/received", "publish.received"],
  ["publish/messages/sent", "publish.sent"],
  ["publish/messages/dropped", "dropped.all"],
  ["publish/bytes/received", "publish.received_bytes"],
  ["publish/bytes/sent", "publish.sent_bytes"],
  ["messages/received", "packets.received"],
  ["messages/sent", "packets.sent"],
  ["bytes/received", "bytes.received"],
  ["bytes/sent", "bytes.sent"],
  ["heap/current", "core.heap"],
];

/** Topic below $SYS/broker/load/ -> figure whose changes it averages. */
const LOADS: readonly [topic: string, figure: string][] = [
  ["connections", "connects.received"],
  ["sockets", "connections.accepted"],
  ["bytes/received", "bytes.received"],
  ["bytes/sent", "bytes.sent"],
  ["messages/received", "packets.received"],
  ["messages/sent", "packets.sent"],
  ["publish/received", "publish.received"],
  ["publish/sent", "publish.sent"],
  ["publish/dropped", "dropped.all"],
];

export class SystemTopics {
  readonly #source: SystemSource;
  readonly #publish: (topic: string, payload: string) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #last = new Map<string, string>();
  readonly #loads = LOADS.map(([topic, figure]) => ({ topic, figure, average: new LoadAverage() }));
  #maximumClients = 0;
  #maximumHeap = 0;
  #updatedAt: number;

  constructor(source: SystemSource, intervalS: number, publish: (topic: string, payload: string) => void) {
    this.#source = source;
    this.#publish = publish;
    this.#updatedAt = source.startedAt;
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
    this.#maximumHeap = Math.max(this.#maximumHeap, figures["core.heap"]);
    this.#set("heap/maximum", String(this.#maximumHeap));
    const now = Date.now();
    for (const { topic, figure, average } of this.#loads) {
      average.update(figures[figure], (now - this.#updatedAt) / 1000);
      for (const [i, minutes] of LOAD_MINUTES.entries())
        this.#set(`load/${topic}/${minutes}min`, average.values[i].toFixed(2));
    }
    this.#updatedAt = now;
    this.#set("clients/inactive", String(figures["clients.total"] - figures["clients.connected"]));
    this.#set("clients/disconnected", String(figures["clients.total"] - figures["clients.connected"]));
    this.#set("uptime", `${Math.floor((now - this.#source.startedAt) / 1000)} seconds`);
  }

  /** Unchanged values are not published again. */
  #set(topic: string, value: string): void {
    if (this.#last.get(topic) === value) return;
    this.#last.set(topic, value);
    this.#publish(`$SYS/broker/${topic}`, value);
  }
}
