// Publishes QoS 1 to sessions that are away, so that every message must be stored, and times each PUBACK.
import { Client } from "../load/client.mjs";
import { publishTemplate } from "../load/packets.mjs";
import { inParallel } from "../load/traffic.mjs";

const PROTO = 4; // 3.1.1
const QOS = 1;
const SIZE = 64;
const TICK_MS = 2;

function clientOf(port, clientId, clean) {
  const client = new Client({ host: "127.0.0.1", port, proto: PROTO, clientId, clean, keepAlive: 60 });
  client.onFault = (kind, detail) => {
    throw new Error(`${clientId}: ${kind} ${detail}`);
  };
  return client;
}

/** Makes `count` persistent sessions, each with its own topic; `stay`: they remain and acknowledge what comes. */
export async function makeSessions(port, count, stay) {
  const clients = Array.from({ length: count }, (_, index) => clientOf(port, `kept-${index}`, false));
  await inParallel(clients, async (client) => {
    await client.open();
    await client.subscribe(`kept/${clients.indexOf(client)}`, QOS);
    if (!stay) await client.close();
  });
  return clients;
}

class Sender {
  #client;
  #template;
  #sentAt = new Float64Array(65_536);
  #next = 1;
  #free = [];
  #topics;
  #times;
  acknowledged = 0;

  constructor(client, topics, retain, inflight, times) {
    this.#client = client;
    this.#topics = topics;
    this.#times = times;
    this.#template = (topic) => {
      const made = publishTemplate({
        proto: PROTO,
        topic,
        qos: QOS,
        size: SIZE,
        filler: Buffer.alloc(SIZE, "x"),
      });
      if (retain) made.bytes[0] |= 1;
      return made;
    };
    for (let id = inflight; id >= 1; id--) this.#free.push(id);
    client.onAcknowledged = (id) => {
      this.#times.push(performance.now() - this.#sentAt[id]);
      this.#free.push(id);
      this.acknowledged++;
    };
  }

  get room() {
    return this.#free.length;
  }

  send(count) {
    const packets = [];
    const now = performance.now();
    for (let i = 0; i < count; i++) {
      const { bytes, identifier } = this.#template(this.#topics(this.#next++));
      const id = this.#free.pop();
      this.#sentAt[id] = now;
      bytes.writeUInt16BE(id, identifier);
      packets.push(bytes);
    }
    this.#client.socket.write(Buffer.concat(packets));
  }
}

/**
 * Publishes `total` messages over `publishers` connections, `rate` a second (0: as fast as 100 in flight each allow), to
 * `topicOf(number)`. Returns the times to PUBACK in ms, sorted.
 */
export async function publishAll(port, { total, rate = 0, publishers = 10, topicOf, retain = false }) {
  const times = [];
  const clients = Array.from({ length: publishers }, (_, index) => clientOf(port, `from-${index}`, true));
  await inParallel(clients, (client) => client.open());
  const senders = clients.map(
    (client, index) => new Sender(client, (n) => topicOf(n * publishers + index), retain, 100, times),
  );
  const begun = performance.now();
  let sent = 0;
  let turn = 0;
  while (times.length < total) {
    const due = rate === 0 ? total : Math.min(total, Math.floor(((performance.now() - begun) / 1000) * rate));
    for (let idle = 0; sent < due && idle < senders.length; ) {
      const sender = senders[turn++ % senders.length];
      const count = Math.min(sender.room, due - sent, rate === 0 ? 100 : 1);
      idle = count === 0 ? idle + 1 : 0;
      if (count > 0) sender.send(count);
      sent += count;
    }
    await new Promise((resolve) => (rate === 0 ? setImmediate(resolve) : setTimeout(resolve, TICK_MS)));
  }
  await inParallel(clients, (client) => client.close());
  return Float64Array.from(times).sort();
}
