// A client that shows every byte: sends what it is told, hands over packets one by one, and never answers by itself.
// "Nothing came" is proved by an ordered fence (PINGREQ, PINGRESP), not by waiting.
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Duplex } from "node:stream";
import { createWebSocketStream, WebSocket } from "ws";
import {
  type Acknowledgement,
  type Connack,
  type Disconnect,
  decode,
  frameSize,
  type Packet,
  type PacketType,
  type Publish,
  type Suback,
} from "./packet.ts";
import {
  type Bytes,
  type ConnectOptions,
  type Filter,
  type PublishOptions,
  type Version,
  Wire,
} from "./wire.ts";

export interface Target {
  port: number;
  transport?: "tcp" | "tls" | "ws" | "wss" | "unix";
  tls?: ConnectionOptions;
  /** Of a Unix socket. */
  path?: string;
  /** TCP: where the connection comes from. */
  localAddress?: string;
}

const DEADLINE_MS = 8_000;
type Waiter = {
  want: (packet: Packet) => boolean;
  resolve: (packet: Packet) => void;
  reject: (error: Error) => void;
};
type Of<T extends PacketType> = Packet & { type: T };
const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function openStream(target: Target): Promise<Duplex> {
  const { port, path = "", transport = "tcp", localAddress } = target;
  const host = "127.0.0.1";
  return new Promise((resolve, reject) => {
    if (transport === "tcp") {
      const socket = connectTcp({ port, host, noDelay: true, localAddress }, () => resolve(socket));
      socket.once("error", reject);
    } else if (transport === "unix") {
      const socket = connectTcp(path, () => resolve(socket));
      socket.once("error", reject);
    } else if (transport === "tls") {
      const socket = connectTls({ port, host, rejectUnauthorized: false, ...target.tls }, () =>
        resolve(socket),
      );
      socket.once("error", reject);
    } else {
      const socket = new WebSocket(`${transport}://${host}:${port}/mqtt`, "mqtt", {
        rejectUnauthorized: false,
      });
      socket.once("error", reject);
      socket.once("open", () => resolve(createWebSocketStream(socket)));
    }
  });
}

export class RawClient {
  readonly version: Version;
  readonly wire: Wire;
  readonly stream: Duplex;
  connack!: Connack;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #needed = 2;
  #packets: Packet[] = [];
  #waiters: Waiter[] = [];
  #ended: Error | undefined;
  #onEnd: (() => void)[] = [];
  #nextId = 1;

  constructor(stream: Duplex, version: Version) {
    this.stream = stream;
    this.version = version;
    this.wire = new Wire(version);
    stream.on("data", (chunk: Buffer) => this.#received(chunk));
    stream.on("error", (error) => this.#end(error));
    stream.on("end", () => this.#end(new Error("the server closed the connection")));
    stream.on("close", () => this.#end(new Error("the connection was closed")));
  }

  static async open(target: Target, version: Version): Promise<RawClient> {
    return new RawClient(await openStream(target), version);
  }

  #received(chunk: Buffer): void {
    // A big packet comes in many chunks: they are joined once, when it is complete.
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#needed) return;
    let input = Buffer.concat(this.#chunks);
    try {
      let size = frameSize(input);
      for (; size !== undefined && size <= input.length; size = frameSize(input)) {
        this.#deliver(decode(input.subarray(0, size), this.version));
        input = input.subarray(size);
      }
      this.#needed = size ?? input.length + 1;
    } catch (error) {
      this.#end(error as Error);
      this.stream.destroy();
    }
    this.#chunks = [input];
    this.#bytes = input.length;
  }

  #deliver(packet: Packet): void {
    const index = this.#waiters.findIndex((waiter) => waiter.want(packet));
    if (index < 0) this.#packets.push(packet);
    else this.#waiters.splice(index, 1)[0].resolve(packet);
  }

  #end(error: Error): void {
    if (this.#ended) return;
    this.#ended = error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    for (const resolve of this.#onEnd.splice(0)) resolve();
  }

  // ---- Sending ---------------------------------------------------------------------------------------------

  /** All of it in one write. */
  send(...packets: Buffer[]): void {
    this.stream.write(Buffer.concat(packets));
  }

  /** A write per piece of `size` bytes, the event loop turning between them. Stops where the server closes. */
  async sendSplit(bytes: Buffer, size = 1): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#ended; at += size) {
      await new Promise<void>((resolve) => this.stream.write(bytes.subarray(at, at + size), () => resolve()));
      await immediate();
    }
  }

  id(): number {
    this.#nextId = (this.#nextId % 65_535) + 1;
    return this.#nextId;
  }

  // ---- Receiving -------------------------------------------------------------------------------------------

  /** First packet, received or to come, that `want` accepts; others stay where they are. */
  take(want: (packet: Packet) => boolean, what: string, deadlineMs = DEADLINE_MS): Promise<Packet> {
    const index = this.#packets.findIndex(want);
    if (index >= 0) return Promise.resolve(this.#packets.splice(index, 1)[0]);
    if (this.#ended) return Promise.reject(new Error(`waiting for ${what}: ${this.#ended.message}`));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((one) => one !== waiter);
        const seen = this.#packets.map((packet) => packet.type).join(", ") || "nothing";
        reject(new Error(`no ${what} within ${deadlineMs} ms; received: ${seen}`));
      }, deadlineMs);
      const waiter: Waiter = {
        want,
        resolve: (packet) => {
          clearTimeout(timer);
          resolve(packet);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(new Error(`waiting for ${what}: ${error.message}`));
        },
      };
      this.#waiters.push(waiter);
    });
  }

  /** The next packet, which must be of this type. */
  async next<T extends PacketType>(type: T, deadlineMs?: number): Promise<Of<T>> {
    const packet = await this.take(() => true, type, deadlineMs);
    if (packet.type !== type) throw new Error(`expected ${type}, received ${describePacket(packet)}`);
    return packet as Of<T>;
  }

  /** The first packet of this type; others stay where they are. */
  async of<T extends PacketType>(type: T, id?: number, deadlineMs?: number): Promise<Of<T>> {
    const want = (packet: Packet): boolean =>
      packet.type === type && (id === undefined || ("id" in packet && packet.id === id));
    return (await this.take(want, id === undefined ? type : `${type} ${id}`, deadlineMs)) as Of<T>;
  }

  /** Sends PINGREQ and returns everything that came before its PINGRESP. */
  async fence(): Promise<Packet[]> {
    this.send(this.wire.pingreq());
    await this.of("pingresp");
    return this.#packets.splice(0);
  }

  /** The next packets are these acknowledgements, in this order. */
  async expectAcknowledgements(...expected: readonly (readonly [PacketType, number])[]): Promise<void> {
    for (const [type, id] of expected) {
      const packet = await this.next(type);
      if (!("id" in packet) || packet.id !== id)
        throw new Error(`expected ${type} ${id}, received ${JSON.stringify(packet)}`);
    }
  }

  /** Proves that nothing is under way to this client. */
  async expectNothing(): Promise<void> {
    const packets = await this.fence();
    if (packets.length > 0)
      throw new Error(`expected nothing, received ${packets.map(describePacket).join("; ")}`);
  }

  /** Packets received and not taken yet, without waiting. */
  pending(): Packet[] {
    return this.#packets.splice(0);
  }

  /** Waits for the server to close; returns what came before. */
  async closed(deadlineMs = DEADLINE_MS): Promise<Packet[]> {
    if (!this.#ended) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`connection still open after ${deadlineMs} ms`)),
          deadlineMs,
        );
        this.#onEnd.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    if (this.#ended && /server sent/.test(this.#ended.message)) throw this.#ended;
    return this.#packets.splice(0);
  }

  /** The server closes without a word. */
  async expectClosed(deadlineMs?: number): Promise<void> {
    const packets = await this.closed(deadlineMs);
    if (packets.length > 0)
      throw new Error(
        `expected nothing before the close, received ${packets.map(describePacket).join("; ")}`,
      );
  }

  /** 5.0: DISCONNECT with this Reason Code, then close. 3.x: close. */
  async expectEnd(reason: number, deadlineMs?: number): Promise<Disconnect | undefined> {
    const packets = await this.closed(deadlineMs);
    const last = this.version === 5 ? packets.pop() : undefined;
    if (this.version === 5 && (last?.type !== "disconnect" || last.reason !== reason)) {
      const seen = last ? describePacket(last) : "a close without a word";
      throw new Error(`expected DISCONNECT 0x${reason.toString(16)}, received ${seen}`);
    }
    if (packets.length > 0)
      throw new Error(`unexpected before the end: ${packets.map(describePacket).join("; ")}`);
    return last as Disconnect | undefined;
  }

  /** CONNECT refused. 5.0: CONNACK with `reason`; 3.x: CONNACK with `code3`, or a close without a word where undefined. */
  async expectRefusal(code3: number | undefined, reason: number): Promise<Connack | undefined> {
    const packets = await this.closed();
    const code = this.version === 5 ? reason : code3;
    const seen = packets.map(describePacket).join("; ") || "a close without a word";
    if (code === undefined ? packets.length > 0 : packets.length !== 1)
      throw new Error(`refusal expected, received ${seen}`);
    const [packet] = packets;
    if (code === undefined) return undefined;
    if (packet.type !== "connack" || packet.reason !== code)
      throw new Error(`expected connack 0x${code.toString(16)}, received ${seen}`);
    return packet;
  }

  // ---- Conversations -----------------------------------------------------------------------------------------

  async connect(options: ConnectOptions = {}): Promise<Connack> {
    this.send(this.wire.connect(options));
    this.connack = await this.next("connack");
    return this.connack;
  }

  async subscribe(
    filters: string | Filter | (string | Filter)[],
    properties?: Parameters<Wire["subscribe"]>[2],
  ): Promise<Suback> {
    const id = this.id();
    this.send(this.wire.subscribe(id, filters, properties));
    return this.of("suback", id);
  }

  async unsubscribe(filters: string | string[]): Promise<Suback> {
    const id = this.id();
    this.send(this.wire.unsubscribe(id, filters));
    return this.of("unsuback", id);
  }

  /** Publishes and goes through the whole exchange; QoS 0 waits for a fence, so that it has been routed. */
  async publish(
    topic: string,
    payload: Bytes = "",
    options: PublishOptions = {},
  ): Promise<Acknowledgement | undefined> {
    const qos = options.qos ?? 0;
    const id = options.id ?? this.id();
    this.send(this.wire.publish(topic, payload, { ...options, id }));
    if (qos === 0) {
      this.send(this.wire.pingreq());
      await this.of("pingresp");
      return undefined;
    }
    if (qos === 1) return this.of("puback", id);
    const received = await this.of("pubrec", id);
    if (received.reason >= 0x80) return received;
    this.send(this.wire.pubrel(id));
    return this.of("pubcomp", id);
  }

  /** Next PUBLISH, answered as its QoS asks. */
  async receive(deadlineMs?: number): Promise<Publish> {
    const message = await this.next("publish", deadlineMs);
    await this.acknowledge(message);
    return message;
  }

  async acknowledge(message: Publish): Promise<void> {
    if (message.qos === 1) this.send(this.wire.puback(message.id));
    if (message.qos === 2) {
      this.send(this.wire.pubrec(message.id));
      await this.of("pubrel", message.id);
      this.send(this.wire.pubcomp(message.id));
    }
  }

  /** DISCONNECT, and waits until the server has closed. */
  async disconnect(reason?: number, properties?: Parameters<Wire["disconnect"]>[1]): Promise<void> {
    this.send(this.wire.disconnect(reason, properties));
    await this.closed();
  }

  /** Drops the connection without DISCONNECT. */
  destroy(): void {
    this.stream.destroy();
  }

  get socket(): Socket {
    return this.stream as Socket;
  }
}

export function describePacket(packet: Packet): string {
  const parts: string[] = [packet.type];
  if ("reason" in packet) parts.push(`0x${packet.reason.toString(16)}`);
  if ("reasons" in packet) parts.push(packet.reasons.map((reason) => `0x${reason.toString(16)}`).join());
  if ("topic" in packet) parts.push(packet.topic, packet.text.slice(0, 40));
  return parts.join(" ");
}
