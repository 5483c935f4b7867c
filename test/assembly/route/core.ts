// The routing part of the core as its host sees it, without the host: slots, runs, records. Both builds; the debug build
// asserts every bound. Bytes a slot is sent are collected whatever the number of stops a call has.
import { readFileSync } from "node:fs";
import * as abi from "../../../src/core/generated/abi.ts";
import type { CoreExports } from "../../../src/core/module.ts";
import { canonicalMessage } from "../../../src/routing/messages/message.ts";
import { decode, frameSize, type Packet } from "../../support/packet.ts";
import { type Version, Wire } from "../../support/wire.ts";

export interface Stored {
  slot: number;
  position: number;
  packetId: number;
  /** Under which the sender waits for its acknowledgement, 0: nobody does. */
  senderId: number;
  qos: number;
  retain: boolean;
  /** Shared group, -1: none. */
  group: number;
  unsent: boolean;
  ids: number[];
  topic: string;
  payload: string;
}

export interface Online {
  version?: Version;
  flags?: number;
  maxPacket?: number;
  sendMax?: number;
  inMax?: number;
  inboundMax?: number;
  aliasInMax?: number;
  aliasOutMax?: number;
  credit?: number;
}

export interface Entry {
  qos?: number;
  flags?: number;
  position?: number;
  packetId?: number;
  expiry?: number;
  ids?: number[];
  topic?: string;
  payload?: string | Buffer;
  external?: number;
}

const modules = ["core.wasm", "core.debug.wasm"].map(
  (file) =>
    new WebAssembly.Module(readFileSync(new URL(`../../../src/core/generated/${file}`, import.meta.url))),
);

export const BUILDS = ["release", "debug"] as const;

export class RouteCore {
  readonly core: CoreExports;
  readonly #scratch: number;
  readonly #versions: Version[] = [];
  #out = new Map<number, Buffer[]>();
  stored: Stored[] = [];
  /** Records of other kinds, in order: [kind, slot, word 2, word 3]. */
  records: [number, number, number, number][] = [];
  stops = 0;
  /** ms, for calls that read packets. */
  now = 1_000_000;
  /** Bytes the host holds for R_EXTERNAL. */
  external: Buffer = Buffer.alloc(0);
  readonly headerWords: number;

  constructor(build: (typeof BUILDS)[number]) {
    const abort = (_message: number, _file: number, line: number, column: number): never => {
      throw new Error(`assertion in the core, line ${line}:${column}`);
    };
    const module = modules[BUILDS.indexOf(build)];
    this.core = new WebAssembly.Instance(module, { env: { abort } }).exports as unknown as CoreExports;
    if (this.core.init(1, 2, 3, 4) === 0) throw new Error("no memory");
    this.#scratch = this.core.alloc(600_000);
    this.headerWords = this.core.headerPtr() >>> 2;
    this.core.setCommit(1);
  }

  get memory(): Buffer {
    return Buffer.from(this.core.memory.buffer);
  }
  get words(): Uint32Array {
    return new Uint32Array(this.core.memory.buffer);
  }
  word(index: number): number {
    return this.words[this.headerWords + index];
  }
  get consumed(): number {
    return this.word(abi.H_CONSUMED);
  }
  slotWord(slot: number, index: number): number {
    return this.words[(this.core.slotPtr(slot) >>> 2) + index];
  }

  /** A slot that is online at once. */
  open(online: Online = {}): number {
    const slot = this.core.openSlot(0);
    this.online(slot, online);
    return slot;
  }

  online(slot: number, online: Online = {}): void {
    const version = online.version ?? 4;
    this.#versions[slot] = version;
    const level = version === 5 ? abi.SLOT_V5 : version === 3 ? abi.SLOT_V31 : 0;
    this.core.goOnline(
      slot,
      level | (online.flags ?? abi.SLOT_ALLOW_ALL),
      online.maxPacket ?? 268_435_455,
      online.sendMax ?? 65_535,
      online.inMax ?? 268_435_455,
      online.inboundMax ?? 65_535,
      online.aliasInMax ?? 0,
      online.aliasOutMax ?? 0,
      online.credit ?? 1_000_000_000,
    );
  }

  wire(slot: number): Wire {
    return new Wire(this.#versions[slot]);
  }

  #put(bytes: Uint8Array | string): [number, number] {
    const buffer = Buffer.from(bytes as string);
    buffer.copy(this.memory, this.#scratch);
    return [this.#scratch, buffer.length];
  }

  subscribe(slot: number, filter: string, options = 0, id = 0): number {
    return this.core.addFilter(...this.#put(filter), slot, options | (id << abi.OPT_ID_SHIFT));
  }

  unsubscribe(slot: number, filter: string): number {
    return this.core.removeFilter(...this.#put(filter), slot);
  }

  join(group: number, filter: string, slot: number, options = 0): number {
    return this.core.addShared(...this.#put(filter), group, slot, options);
  }

  leave(group: number, filter: string, slot: number): number {
    return this.core.removeShared(...this.#put(filter), group, slot);
  }

  /** Messages with these two levels in their topic have a meter of their own, or no longer. */
  pace(slot: number, levels: string, own = true): number {
    if (own) return this.core.addPaced(slot, ...this.#put(levels));
    this.core.removePaced(slot, ...this.#put(levels));
    return 1;
  }

  setReasonText(reason: number, text: string): void {
    this.core.setReasonText(reason, ...this.#put(text));
  }

  /** Routes packets of a client; stops that ask for room are served. Returns the stop. */
  route(slot: number, ...packets: Buffer[]): number {
    const bytes = Buffer.concat(packets);
    const input = this.core.inputBase.value;
    this.memory.fill(0xee, input, input + abi.INPUT_SIZE);
    bytes.copy(this.memory, input);
    return this.finish(this.core.route(slot, input, bytes.length, this.now));
  }

  /** Routes a PUBLISH of which only a head is here. */
  routeLarge(slot: number, packet: Buffer, head: number): number {
    const input = this.core.inputBase.value;
    packet.copy(this.memory, input, 0, head);
    this.external = packet.subarray(head);
    return this.finish(this.core.routeLarge(slot, input, head, packet.length - head, this.now));
  }

  /** Goes on behind `at` bytes of the last run. */
  routeFrom(slot: number, at: number, length: number): number {
    return this.finish(this.core.route(slot, this.core.inputBase.value + at, length - at, this.now));
  }

  replay(slot: number, entries: readonly Entry[], now = 1_000_000): number {
    const parts = entries.map((entry) => {
      const topic = Buffer.from(entry.topic ?? "t");
      const body = Buffer.concat([
        Buffer.from([topic.length >> 8, topic.length & 255]),
        topic,
        Buffer.from([0]),
        Buffer.from((entry.payload ?? "") as string),
      ]);
      const ids = entry.ids ?? [];
      const whole = (entry.flags ?? 0) & abi.E_PUBREL ? Buffer.alloc(0) : body;
      const bytes = Buffer.alloc((32 + ids.length * 4 + whole.length + 7) & ~7);
      const words = [
        bytes.length,
        (entry.qos ?? 1) | (entry.flags ?? 0),
        entry.position ?? 0,
        entry.packetId ?? 0,
        entry.expiry ?? abi.NO_EXPIRY,
        ids.length,
        entry.external ?? 0,
        whole.length,
        ...ids,
      ];
      for (const [i, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, i * 4);
      whole.copy(bytes, 32 + ids.length * 4);
      return bytes;
    });
    const [ptr, length] = this.#put(Buffer.concat(parts));
    return this.finish(this.core.replay(slot, ptr, length, now, 0));
  }

  /** The server's own message to one session. */
  tell(
    slot: number,
    implied: boolean,
    topic: string,
    payload: string,
    qos: 0 | 1 | 2 = 0,
    flags = 0,
    now = 1_000_000,
  ): number {
    const message = canonicalMessage(
      { topic, payload: Buffer.from(payload), qos, retain: false },
      abi.NO_SLOT,
      1_000_000,
    );
    message.writeUInt32LE(message.readUInt32LE(4) | flags, 4);
    return this.finish(this.core.injectToSlot(this.#put(message)[0], slot, implied ? 1 : 0, now));
  }

  release(commit: number, reason = 0): number {
    return this.finish(this.core.releaseAcks(commit, reason));
  }

  owe(slot: number, type: number, id: number, reason = 0, commit = 0): number {
    return this.finish(this.core.oweAck(slot, type, id, reason, commit));
  }

  finish(first: number): number {
    let stop = first;
    for (;;) {
      this.#read();
      if (stop !== abi.STOP_BUDGET) return stop;
      this.stops++;
      stop = this.core.resume();
    }
  }

  #read(): void {
    const { words, memory } = this;
    const count = words[this.headerWords + abi.H_RECORDS];
    let at = this.core.recordBase.value >>> 2;
    for (let i = 0; i < count; i++, at += abi.RECORD_WORDS) {
      const [kind, slot, a, b, c, d, e] = words.subarray(at, at + 7);
      switch (kind & 0xff) {
        case abi.R_WRITE:
          this.#send(slot, Buffer.from(memory.subarray(a, a + b)));
          break;
        case abi.R_EXTERNAL:
          this.#send(slot, Buffer.concat([memory.subarray(a, a + b), this.external]));
          break;
        case abi.R_STORED:
          this.stored.push(this.#stored(slot, a, b, c, d, e, kind >>> 8));
          break;
        default:
          this.records.push([kind & 0xff, slot, a, b]);
      }
    }
  }

  #send(slot: number, bytes: Buffer): void {
    const list = this.#out.get(slot);
    if (list === undefined) this.#out.set(slot, [bytes]);
    else list.push(bytes);
  }

  #stored(
    slot: number,
    offset: number,
    position: number,
    packetId: number,
    options: number,
    ids: number,
    senderId: number,
  ): Stored {
    const { memory } = this;
    const store = this.core.storeBase.value;
    const head = store + offset;
    const size = memory.readUInt32LE(head);
    const topicLength = memory.readUInt32LE(head + 12);
    const topicAt = head + 34;
    const properties = memory[topicAt + topicLength];
    const payloadAt = topicAt + topicLength + 1 + properties;
    const list: number[] = [];
    if (ids !== abi.NO_OFFSET) {
      const n = memory.readUInt32LE(store + ids);
      for (let i = 0; i < n; i++) list.push(memory.readUInt32LE(store + ids + 4 + i * 4));
    }
    return {
      slot,
      position,
      packetId,
      senderId,
      qos: options & 3,
      retain: (options & 4) !== 0,
      group: (options >>> 8) - 1,
      unsent: (options & abi.STORED_UNSENT) !== 0,
      ids: list,
      topic: memory.toString("utf8", topicAt, topicAt + topicLength),
      payload: memory.toString("utf8", payloadAt, head + size),
    };
  }

  /** Packets a slot was sent since the last call. */
  take(slot: number): Packet[] {
    const bytes = Buffer.concat(this.#out.get(slot) ?? []);
    this.#out.delete(slot);
    const packets: Packet[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = frameSize(bytes.subarray(at)) ?? Number.POSITIVE_INFINITY;
      if (at + size > bytes.length) throw new Error(`a packet is cut off at byte ${at}`);
      packets.push(decode(bytes.subarray(at, at + size), this.#versions[slot]));
      at += size;
    }
    return packets;
  }

  takeStored(): Stored[] {
    return this.stored.splice(0);
  }

  takeRecords(): [number, number, number, number][] {
    return this.records.splice(0);
  }
}
