// A client that costs next to nothing: it is fed with bytes and keeps what it is sent, for tests with thousands of them.
import { Duplex } from "node:stream";
import type { Broker } from "../../src/broker.ts";
import { decode, frameSize, type Packet } from "../support/packet.ts";
import { type ConnectOptions, type Filter, type Version, Wire } from "../support/wire.ts";

export class Sink extends Duplex {
  readonly wire: Wire;
  readonly #version: Version;
  #chunks: Buffer[] = [];
  received = 0;

  constructor(broker: Broker, version: Version, options: ConnectOptions, filters: (string | Filter)[]) {
    super();
    this.#version = version;
    this.wire = new Wire(version);
    broker.handle(this);
    this.push(
      Buffer.concat([
        this.wire.connect({ keepAlive: 0, ...options }),
        ...filters.map((filter, i) =>
          this.wire.subscribe(i + 1, filter, version === 5 ? { subscriptionIdentifier: i + 1 } : undefined),
        ),
      ]),
    );
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // What a stream was handed may be a view of the sender's chunk.
    this.#chunks.push(Buffer.from(chunk));
    this.received += chunk.length;
    done();
  }

  override _final(done: () => void): void {
    this.push(null);
    done();
  }

  /** Every whole packet so far. */
  packets(): Packet[] {
    const bytes = Buffer.concat(this.#chunks);
    const packets: Packet[] = [];
    let at = 0;
    while (at < bytes.length) {
      const size = frameSize(bytes.subarray(at));
      if (size === undefined || at + size > bytes.length) break;
      packets.push(decode(bytes.subarray(at, at + size), this.#version));
      at += size;
    }
    this.#chunks = at < bytes.length ? [bytes.subarray(at)] : [];
    return packets;
  }
}
