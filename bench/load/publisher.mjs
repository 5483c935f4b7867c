// The sending half of one publisher: packs complete PUBLISH packets from templates, keeps the QoS 1/2 window.
import { publishTemplate } from "./packets.mjs";

const MAX_UNSENT = 1 << 18; // bytes waiting in a socket before it gets no more
export const HEAD = 16; // of a payload: u32 stream, u32 sequence number, f64 time of sending in ms

export class Publisher {
  sent = 0;
  acknowledged = 0;
  remaining = Number.POSITIVE_INFINITY;
  #client;
  #streams;
  #turn = 0;
  #templates;
  #qos;
  #free = []; // packet identifiers not in flight
  #busy = new Set();
  #refillAt;

  constructor(client, streams, { proto, qos, size, filler, inflight }) {
    this.#client = client;
    this.#streams = streams;
    this.#qos = qos;
    this.#templates = streams.map(({ topic }) => publishTemplate({ proto, topic, qos, size, filler }));
    this.#refillAt = qos ? Math.ceil(inflight / 4) : 0;
    for (let identifier = inflight; qos && identifier >= 1; identifier--) this.#free.push(identifier);
    client.onAcknowledged = (identifier) => {
      if (!this.#busy.delete(identifier)) return client.onFault("malformed", "unknown packet identifier");
      this.acknowledged++;
      this.#free.push(identifier);
    };
  }

  /** How many messages could be sent now; 0 while the socket is full. */
  get room() {
    if (this.#client.closing || this.#client.socket.writableLength > MAX_UNSENT) return 0;
    return Math.min(this.remaining, this.#qos ? this.#free.length : Number.POSITIVE_INFINITY);
  }

  get idle() {
    return this.#busy.size === 0;
  }

  /** False while the window is nearly full: refilling it one by one would make every segment a single packet. */
  get refillable() {
    return this.#free.length >= this.#refillAt;
  }

  /** Sends `count` messages, at most `chunk` bytes (but at least one packet) in each write. Returns deliveries expected. */
  send(count, chunk) {
    let deliveries = 0;
    while (count > 0) {
      const fits = Math.max(1, Math.min(count, Math.floor(chunk / this.#templates[0].bytes.length)));
      deliveries += this.#write(fits);
      count -= fits;
    }
    return deliveries;
  }

  #write(count) {
    let length = 0;
    for (let i = 0; i < count; i++)
      length += this.#templates[(this.#turn + i) % this.#templates.length].bytes.length;
    const buffer = Buffer.allocUnsafe(length);
    const now = performance.now();
    let at = 0;
    let deliveries = 0;
    for (let i = 0; i < count; i++) {
      const stream = this.#streams[this.#turn];
      const { bytes, payload, identifier } = this.#templates[this.#turn];
      this.#turn = (this.#turn + 1) % this.#templates.length;
      bytes.copy(buffer, at);
      if (this.#qos) {
        const id = this.#free.pop();
        this.#busy.add(id);
        buffer.writeUInt16BE(id, at + identifier);
      }
      buffer.writeUInt32LE(stream.index, at + payload);
      buffer.writeUInt32LE(stream.nextSequence++, at + payload + 4);
      buffer.writeDoubleLE(now, at + payload + 8);
      at += bytes.length;
      deliveries += stream.receivers;
    }
    this.sent += count;
    this.remaining -= count;
    this.#client.socket.write(buffer);
    return deliveries;
  }
}
