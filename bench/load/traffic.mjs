// Drives publishers and subscribers of a plan: keeps the windows full, counts and checks what arrives, samples.
import { Checker } from "./checker.mjs";
import { Client } from "./client.mjs";
import { HEAD, Publisher } from "./publisher.mjs";
import { cpuSeconds } from "./usage.mjs";

const SAMPLES = 1 << 20; // latencies kept, the newest ones
const CONNECT_WINDOW = 64;
const STALL_MS = 3_000; // no delivery for so long: the rest is lost

export const clock = () => performance.now() / 1000;

/** Runs `work(item)` for all items, at most `limit` at a time. */
export async function inParallel(items, work, limit = CONNECT_WINDOW) {
  const queue = items.values();
  const workers = Array.from({ length: Math.min(limit, items.length) }, async () => {
    for (const item of queue) await work(item);
  });
  await Promise.all(workers);
}

export class Traffic {
  checker = new Checker();
  subscribers = [];
  publishers = [];
  expected = 0;
  sampling = false;
  latencies = new Float64Array(SAMPLES);
  latencyCount = 0;
  publishing = false;
  #options;
  #plan;
  #filler;
  #scheduled = false;
  #rateFrom = 0;
  #rateSent = 0;
  #turn = 0;

  constructor(options, plan) {
    this.#options = options;
    this.#plan = plan;
    this.#filler = Buffer.alloc(options.size, "the quick brown fox jumps over the lazy dog, ");
  }

  #client(name, proto, clean = true, row = undefined) {
    const { host, port, tls, prefix } = this.#options;
    const { clientId = `${prefix}${name}`, username, password } = row ?? {};
    const client = new Client({ host, port, tls, proto, clean, clientId, username, password, keepAlive: 60 });
    client.onFault = (kind, detail) => {
      this.checker.errors[kind]++;
      if (this.checker.errors[kind] === 1) console.error(`load: ${name}: ${kind}: ${detail}`);
    };
    client.onTurn = () => this.#schedule();
    return client;
  }

  async connect({ persistent = false } = {}) {
    const { proto, subProto, qos } = this.#options;
    const { streams } = this.#plan;
    let group;
    this.subscribers = this.#plan.subscribers.map((subscriber, index) => {
      const client = this.#client(`sub-${index}`, subProto ?? proto, !persistent, subscriber.row);
      const receives = new Set(streams.filter(({ topic }) => subscriber.receives(topic)));
      const own = Checker.expectation(streams, (stream) => receives.has(stream));
      if (subscriber.shared) group ??= own;
      client.onPublish = this.#receiver(subscriber.shared ? group : own, !subscriber.shared, qos);
      return {
        client,
        row: subscriber.row,
        filter: subscriber.shared ? `$share/g/${subscriber.filter}` : subscriber.filter,
        own: group ?? own,
      };
    });
    await inParallel(this.subscribers, async ({ client, filter }) => {
      await client.open();
      await client.subscribe(filter, qos);
    });
    this.clients = this.subscribers.map(({ client }) => client);
    // One client of a file may do both.
    const open = new Map(this.subscribers.map(({ client, row }) => [row, client]));
    open.delete(undefined);
    const bare = [];
    for (const [index, { streams: own, row }] of this.#plan.publishers.entries()) {
      const client = open.get(row) ?? this.#client(`pub-${index}`, proto, true, row);
      if (!open.has(row)) bare.push(client);
      this.publishers.push(new Publisher(client, own, { ...this.#options, filler: this.#filler }));
    }
    this.clients.push(...bare);
    await inParallel(bare, (client) => client.open());
  }

  #receiver(expectation, ordered, qos) {
    const { checker } = this;
    const { size } = this.#options;
    const filler = this.#filler;
    return (buffer, payload, end, receivedQos, dup) => {
      if (end - payload !== size || filler.compare(buffer, payload + HEAD, end, HEAD, size) !== 0) {
        checker.errors.bad_payload++;
        return;
      }
      if (receivedQos !== qos) checker.errors.bad_qos++;
      checker.accept(
        expectation,
        buffer.readUInt32LE(payload),
        buffer.readUInt32LE(payload + 4),
        dup,
        ordered,
      );
      if (this.sampling) {
        const sentAt = buffer.readDoubleLE(payload + 8);
        this.latencies[this.latencyCount++ % SAMPLES] = performance.now() - sentAt;
      }
    };
  }

  snapshot() {
    const sent = this.publishers.reduce((sum, publisher) => sum + publisher.sent, 0);
    return {
      time: clock(),
      cpu: cpuSeconds(this.#options.brokerPid),
      sent,
      delivered: this.checker.delivered,
    };
  }

  start() {
    this.publishing = true;
    this.#rateFrom = clock();
    this.#schedule();
  }

  /** Stops publishing and resolves when everything has arrived, or nothing more does. */
  async finish() {
    this.publishing = false;
    await this.settle(
      () => this.checker.delivered >= this.expected && this.publishers.every(({ idle }) => idle),
    );
  }

  async settle(done) {
    let progress = -1;
    let since = clock();
    while (!done()) {
      const seen =
        this.checker.delivered + this.publishers.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
      if (seen !== progress) [progress, since] = [seen, clock()];
      else if (clock() - since > STALL_MS / 1000) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  close() {
    for (const client of this.clients ?? []) client.destroy();
  }

  #schedule() {
    if (this.#scheduled || !this.publishing) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.publishing) return;
      if (this.#options.rate) this.#pace();
      else this.#fill();
    });
  }

  /** A message at a time, evenly spaced: looks at the clock in every turn of the event loop. */
  #pace() {
    const due = Math.floor((clock() - this.#rateFrom) * this.#options.rate);
    for (; this.#rateSent < due; this.#rateSent++) {
      const publisher = this.publishers[this.#turn++ % this.publishers.length];
      if (publisher.room > 0) this.expected += publisher.send(1, this.#options.chunk);
    }
    this.#schedule();
  }

  #fill() {
    const { window, chunk, size } = this.#options;
    const fan = this.expected / Math.max(1, this.#sentSoFar()) || 1;
    const outstanding = (this.expected - this.checker.delivered) / fan;
    let budget = window ? Math.floor(window - outstanding) : Number.POSITIVE_INFINITY;
    if (window && budget < Math.max(1, window / 4)) return; // deliveries bring us back
    const fair = Math.max(1, Math.floor(budget / this.publishers.length));
    // One packet per write: publishers take turns, so that the broker does not find several in one socket.
    const perTurn = chunk < size ? 1 : Math.min(fair, Math.floor(chunk / size));
    let sentAny = false;
    for (let i = 0; i < this.publishers.length && budget > 0; i++) {
      const publisher = this.publishers[this.#turn++ % this.publishers.length];
      const count = publisher.refillable ? Math.min(publisher.room, perTurn, budget) : 0;
      if (count <= 0) continue;
      this.expected += publisher.send(count, chunk);
      budget -= count;
      sentAny = true;
    }
    // Without a window only full sockets hold back, and those tell nobody: look again.
    if (sentAny || (!window && !this.#options.qos)) this.#schedule();
  }

  #sentSoFar() {
    let sent = 0;
    for (const publisher of this.publishers) sent += publisher.sent;
    return sent;
  }
}
