// One MQTT connection of the load generator: handshake, splitting, acknowledgements of what it receives.
// It knows nothing of scenarios; whoever uses it sets `onPublish` and `onAcknowledged`.
import net from "node:net";
import tls from "node:tls";
import {
  connectPacket,
  disconnectPacket,
  splitPackets,
  subscribePacket,
  TYPE,
  V5,
  writeAcknowledgement,
} from "./packets.mjs";

const HANDSHAKE_TIMEOUT_MS = 20_000;
const EMPTY = Buffer.alloc(0);

export class Client {
  /** Called with (buffer, offset of the payload, end, QoS, DUP). */
  onPublish = () => {};
  /** Called with the identifier of a QoS 1 or 2 message that is done. */
  onAcknowledged = () => {};
  /** Called when the broker ends a connection, says no, or breaks the protocol. */
  onFault = () => {};
  /** Called once for each chunk, after its packets. */
  onTurn = () => {};
  closing = false;
  socket;
  #options;
  #rest = EMPTY;
  #waiting;
  #replies = Buffer.allocUnsafe(1 << 16);
  #replyLength = 0;
  #unreleased = new Set(); // QoS 2 identifiers received whose PUBREL has not come

  constructor(options) {
    this.#options = options; // { host, port, tls, proto, clientId, clean, keepAlive, username, password }
  }

  async open() {
    const { host, port, tls: secure } = this.#options;
    this.closing = false;
    this.#rest = EMPTY;
    this.socket = secure
      ? tls.connect({ host, port, rejectUnauthorized: false, minVersion: "TLSv1.3" })
      : net.connect({ host, port, noDelay: true });
    this.socket.setNoDelay(true);
    this.socket.on("data", (chunk) => this.#read(chunk));
    this.socket.on("error", (error) => this.#fault("disconnects", error.message));
    this.socket.on("close", () => this.#fault("disconnects", "closed"));
    const answered = this.#expect(TYPE.CONNACK);
    this.socket.write(connectPacket(this.#options));
    const { buffer, body } = await answered;
    if (buffer[body + 1] !== 0) throw new Error(`CONNACK ${buffer[body + 1]}`);
  }

  async subscribe(filter, qos) {
    const answered = this.#expect(TYPE.SUBACK);
    this.socket.write(subscribePacket({ proto: this.#options.proto, filter, qos }));
    const { buffer, end } = await answered;
    if (buffer[end - 1] > 2) throw new Error(`SUBACK ${buffer[end - 1]}`);
  }

  async close() {
    this.closing = true;
    if (this.socket.destroyed) return;
    const closed = new Promise((resolve) => this.socket.once("close", resolve));
    this.socket.end(disconnectPacket());
    await closed;
  }

  /** Ends the session the broker keeps. */
  async forget() {
    await this.close();
    this.#options = { ...this.#options, clean: true };
    await this.open();
    await this.close();
  }

  destroy() {
    this.closing = true;
    this.socket?.destroy();
  }

  #expect(type) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no answer from the broker")), HANDSHAKE_TIMEOUT_MS);
      this.#waiting = {
        type,
        resolve(answer) {
          clearTimeout(timer);
          resolve(answer);
        },
        reject(error) {
          clearTimeout(timer);
          reject(error);
        },
      };
    });
  }

  #fault(kind, detail) {
    if (this.closing) return;
    this.closing = true;
    this.#waiting?.reject(new Error(detail));
    this.onFault(kind, detail);
  }

  #read(chunk) {
    try {
      const bytes = this.#rest.length ? Buffer.concat([this.#rest, chunk]) : chunk;
      this.#rest = splitPackets(bytes, (...position) => this.#packet(...position));
    } catch (error) {
      this.#fault("malformed", error.message);
      this.socket.destroy();
    }
    if (this.#replyLength) this.#flush();
    this.onTurn();
  }

  #packet(buffer, start, body, end) {
    const type = buffer[start] >> 4;
    const identifier = (buffer[body] << 8) | buffer[body + 1];
    switch (type) {
      case TYPE.PUBLISH:
        return this.#publish(buffer, start, body, end);
      case TYPE.PUBACK:
      case TYPE.PUBCOMP:
        if (this.#refused(buffer, body, end)) return;
        return this.onAcknowledged(identifier);
      case TYPE.PUBREC:
        if (this.#refused(buffer, body, end)) return this.onAcknowledged(identifier);
        return this.#reply(TYPE.PUBREL, identifier);
      case TYPE.PUBREL:
        this.#unreleased.delete(identifier);
        return this.#reply(TYPE.PUBCOMP, identifier);
      case this.#waiting?.type: {
        const { resolve } = this.#waiting;
        this.#waiting = undefined;
        return resolve({ buffer, body, end });
      }
      default:
        throw new Error(`unexpected packet type ${type}`);
    }
  }

  #refused(buffer, body, end) {
    if (end - body < 3 || buffer[body + 2] < 0x80) return false;
    this.onFault("refused", `reason ${buffer[body + 2]}`);
    return true;
  }

  #publish(buffer, start, body, end) {
    const qos = (buffer[start] >> 1) & 3;
    let at = body + 2 + ((buffer[body] << 8) | buffer[body + 1]);
    const identifier = (buffer[at] << 8) | buffer[at + 1];
    if (qos) at += 2;
    if (this.#options.proto === V5) {
      if (buffer[at] & 128) throw new Error("more properties than this generator expects");
      at += 1 + buffer[at];
    }
    if (at > end) throw new Error("PUBLISH longer than its Remaining Length");
    if (qos === 1) this.#reply(TYPE.PUBACK, identifier);
    if (qos === 2) {
      this.#reply(TYPE.PUBREC, identifier);
      if (this.#unreleased.has(identifier)) return; // the same message again, before its PUBREL
      this.#unreleased.add(identifier);
    }
    this.onPublish(buffer, at, end, qos, (buffer[start] & 8) !== 0);
  }

  #reply(type, identifier) {
    if (this.#replyLength + 4 > this.#replies.length) this.#flush();
    writeAcknowledgement(this.#replies, this.#replyLength, type, identifier);
    this.#replyLength += 4;
  }

  #flush() {
    // A copy: the socket may keep what it cannot send at once.
    this.socket.write(Buffer.from(this.#replies.subarray(0, this.#replyLength)));
    this.#replyLength = 0;
  }
}
