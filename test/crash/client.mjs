// An MQTT client that keeps its side of every exchange across broken connections, exactly as the standard demands: what is
// unacknowledged is sent again with DUP under the same packet id, in its order [MQTT-4.4.0-1]; a QoS 2 message is handed
// over once per packet id [MQTT-4.3.3-2]; acknowledgements leave in the order of their messages [MQTT-4.6.0-2].
import { connect } from "node:net";
import {
  acknowledgement,
  CONNACK,
  connectPacket,
  DISCONNECT,
  disconnectPacket,
  PacketReader,
  PINGRESP,
  pingPacket,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  publishPacket,
  SUBACK,
  subscribePacket,
  UNSUBACK,
  unsubscribePacket,
} from "./packets.mjs";

const EXPIRY_S = 3_600;
const RETRY_MS = 10;
/** ms by which the end of a session may be late: its clock ticks once a second, on a busy machine. */
const LATE_MS = 2_500;

export class Client {
  /** What it is owed when it connects: "none", "maybe" (nobody was told), "sure". */
  session = "none";
  /** CONNACK alone does not make its session sure: a store that fails may not know yet that it is back. */
  unproven = false;
  /** Connected, and CONNACK has come. */
  online = false;
  /** It should be online: it connects again by itself. */
  wanted = false;
  clean;
  /** ms by which acknowledgements are held back. */
  lag = 0;
  /** PUBLISH not yet through: packet id -> {message, released, since}, in order. */
  inflight = new Map();
  /** Packet ids of QoS 2 messages handed over and not yet released. */
  received = new Set();
  #hooks;
  #socket;
  /** Given up, though perhaps not closed yet. */
  #leaving;
  #requests = new Map();
  #pings = [];
  #owed = [];
  #owedTimer;
  #nextId = 0;
  #up = false;
  #brokerSince = 0;
  /** When it was last online. */
  #left = 0;
  #retry;

  /** `expiry` (s): of its session; `will`: gives {delay, message} for the next connection; `credentials`: {keepAlive, username, password}. */
  constructor({ id, version, clean, receiveMaximum = 0, expiry = EXPIRY_S, will, credentials }, hooks) {
    this.id = id;
    this.version = version;
    this.clean = clean;
    this.receiveMaximum = receiveMaximum;
    this.expiry = expiry;
    this.will = will;
    this.credentials = credentials;
    this.#hooks = hooks;
  }

  // ---- connection ----

  /** The broker listens at `port`; undefined: it does not. */
  brokerAt(port) {
    this.#up = port !== undefined;
    if (this.#up) this.#brokerSince = Date.now();
    this.port = port;
    this.#tryConnect();
  }

  goOnline() {
    this.wanted = true;
    this.#tryConnect();
  }

  /** Leaves with or without a word. */
  goOffline(politely) {
    this.wanted = false;
    if (this.#socket === undefined) return;
    this.#leaving = this.#socket;
    if (politely && this.online) this.#socket.end(disconnectPacket());
    else this.#socket.destroy();
    this.#offline();
  }

  /** Breaks the connection; it comes back by itself. */
  drop() {
    this.#socket?.destroy();
    this.#offline();
  }

  #tryConnect() {
    if (!this.wanted || !this.#up || this.#socket !== undefined) return;
    clearTimeout(this.#retry);
    const socket = connect({ port: this.port, host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    const reader = new PacketReader();
    socket.once("connect", () => {
      if (this.#socket !== socket || !this.wanted) return socket.destroy();
      const { version, clean, receiveMaximum } = this;
      this.attempt = { clean, session: this.session, at: Date.now() };
      if (clean) this.#hooks.sessionEnding?.(this);
      // Until CONNACK either may be true; but a clean start does not make a session where there was none.
      if (!clean || this.session !== "none")
        this.session = this.session === "sure" && !clean ? "sure" : "maybe";
      this.#hooks.trace?.(
        this.id,
        ">",
        `CONNECT ${clean ? "clean" : "kept"}, session ${this.attempt.session}`,
      );
      socket.write(
        connectPacket({
          version,
          clientId: this.id,
          clean,
          expiry: clean ? 0 : this.expiry,
          receiveMaximum,
          will: this.will?.(),
          ...this.credentials,
        }),
      );
    });
    socket.on("data", (chunk) => {
      // What had been sent before the broker died counts, what comes behind our own goodbye too.
      for (const packet of reader.read(chunk, this.version)) this.#packet(packet, socket);
    });
    socket.on("error", () => {});
    socket.once("close", () => {
      if (this.#socket === socket) {
        this.#socket = undefined;
        this.#offline();
      }
      this.#retry = setTimeout(() => this.#tryConnect(), RETRY_MS);
    });
  }

  #offline() {
    if (this.online) {
      this.#left = Date.now();
      this.#hooks.trace?.(this.id, "|", "offline");
    }
    this.online = false;
    this.#requests.clear();
    clearTimeout(this.#owedTimer);
    this.#owedTimer = undefined;
    this.#owed = [];
    for (const ping of this.#pings.splice(0)) ping(false);
  }

  #write(bytes) {
    if (!this.online) return;
    this.#hooks.trace?.(this.id, ">", bytes);
    this.#socket?.write(bytes);
  }

  /** Its session ended before it asked; the clock of one that was online began anew with the broker. */
  #mustBeGone() {
    const since = Math.max(this.#left, this.#brokerSince);
    return this.attempt.at > since + this.expiry * 1_000 + LATE_MS;
  }

  #connack({ sessionPresent, reason }) {
    if (reason !== 0) {
      this.#hooks.refused?.(this, reason);
      this.#socket?.destroy();
      return;
    }
    const { clean, session } = this.attempt;
    if (clean && sessionPresent) this.#hooks.violation(`${this.id}: session present after a clean start`);
    if (!clean && sessionPresent && session === "sure" && this.#mustBeGone())
      this.#hooks.violation(`${this.id}: its session is there long after it expired`);
    if (!clean && session === "sure" && !sessionPresent && Date.now() < this.#left + this.expiry * 1_000)
      this.#hooks.violation(`${this.id}: its session is gone`);
    if (!clean && session === "none" && sessionPresent)
      this.#hooks.violation(`${this.id}: a session that had ended is back`);
    this.session = clean ? "none" : this.unproven ? "maybe" : "sure";
    if (!sessionPresent) {
      for (const { message } of this.inflight.values()) this.#hooks.abandoned?.(message);
      this.inflight.clear();
      this.received.clear();
      this.#hooks.sessionEnded?.(this);
    }
    this.online = true;
    for (const [id, entry] of this.inflight) {
      entry.since = Date.now();
      if (entry.released) this.#write(acknowledgement(PUBREL, id));
      else {
        entry.message.resent = true;
        this.#write(publishPacket({ ...entry.message, version: this.version, dup: true, id }));
      }
    }
    this.#hooks.connected?.(this);
  }

  // ---- sending ----

  #id() {
    do this.#nextId = (this.#nextId % 65_535) + 1;
    while (this.inflight.has(this.#nextId) || this.#requests.has(this.#nextId));
    return this.#nextId;
  }

  /** `message`: {topic, payload, qos, retain}. */
  publish(message) {
    const id = this.#id();
    this.inflight.set(id, { message, released: false, since: Date.now() });
    this.#write(publishPacket({ ...message, version: this.version, dup: false, id }));
  }

  /** `then(reason)` is not called where the connection breaks before the answer. */
  subscribe(filter, qos, then) {
    const id = this.#id();
    this.#requests.set(id, { then, since: Date.now() });
    this.#write(subscribePacket(this.version, id, filter, qos));
  }

  unsubscribe(filter, then) {
    const id = this.#id();
    this.#requests.set(id, { then, since: Date.now() });
    this.#write(unsubscribePacket(this.version, id, filter));
  }

  /** Resolves with true behind everything sent before it, with false where the connection breaks. */
  fence() {
    if (!this.online) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#pings.push(resolve);
      this.#write(pingPacket());
    });
  }

  /** ms for which the oldest open exchange of this client waits. */
  waiting(now) {
    let since = now;
    for (const entry of this.inflight.values()) since = Math.min(since, entry.since);
    for (const request of this.#requests.values()) since = Math.min(since, request.since);
    return this.online ? now - since : 0;
  }

  // ---- receiving ----

  #packet(packet, socket) {
    this.#hooks.trace?.(this.id, "<", packet);
    // Of a connection already given up, only what we were told counts, not what we would have to answer.
    const current = socket === this.#socket && socket !== this.#leaving && this.wanted;
    switch (packet.type) {
      case CONNACK:
        if (current) this.#connack(packet);
        break;
      case PUBLISH:
        if (current) this.#publish(packet);
        break;
      case PUBACK:
      case PUBREC:
      case PUBCOMP:
        if (current) this.#acknowledged(packet);
        break;
      case PUBREL:
        this.received.delete(packet.id);
        this.#owe(acknowledgement(PUBCOMP, packet.id));
        break;
      case SUBACK:
      case UNSUBACK: {
        const request = this.#requests.get(packet.id);
        this.#requests.delete(packet.id);
        request?.then(packet.reason);
        break;
      }
      case PINGRESP:
        this.#pings.shift()?.(true);
        break;
      case DISCONNECT:
        break;
      default:
        this.#hooks.violation(`${this.id}: a packet of type ${packet.type}`);
    }
    this.#hooks.event?.(packet.type);
  }

  #acknowledged({ type, id, reason }) {
    const entry = this.inflight.get(id);
    const { message } = entry ?? {};
    if (entry === undefined) {
      this.#hooks.violation(
        `${this.id}: an acknowledgement of type ${type} for ${id}, which nothing waits for`,
      );
      return;
    }
    const expected = message.qos === 1 ? PUBACK : entry.released ? PUBCOMP : PUBREC;
    if (type !== expected) {
      this.#hooks.violation(`${this.id}: type ${type} for ${id} where ${expected} was due`);
      return;
    }
    if (type !== PUBCOMP) {
      if (reason >= 0x80) {
        this.inflight.delete(id);
        this.#hooks.refusedMessage?.(message, reason);
        return;
      }
      this.#hooks.acknowledged?.(message);
    }
    if (type === PUBREC) {
      entry.released = true;
      entry.since = Date.now();
      this.#write(acknowledgement(PUBREL, id));
    } else this.inflight.delete(id);
  }

  #publish(packet) {
    const { qos, id } = packet;
    if (qos === 2) {
      const again = this.received.has(id);
      this.received.add(id);
      this.#owe(acknowledgement(PUBREC, id));
      if (again) {
        if (!packet.dup) {
          const { topic, payload } = packet;
          this.#hooks.violation(
            `${this.id}: packet id ${id} used again before its PUBREL, for ${topic} ${payload.slice(0, 40)}`,
          );
        }
        return;
      }
    } else if (qos === 1) this.#owe(acknowledgement(PUBACK, id));
    this.#hooks.message?.(this, packet);
  }

  #owe(bytes) {
    if (this.lag === 0 && this.#owed.length === 0) return this.#write(bytes);
    this.#owed.push(bytes);
    this.#owedTimer ??= setTimeout(() => {
      this.#owedTimer = undefined;
      if (this.#owed.length > 0) this.#write(Buffer.concat(this.#owed.splice(0)));
    }, this.lag);
  }
}
