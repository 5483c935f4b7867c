// The fast path of the stand-alone codec: a run of a client's PUBLISH packets, validated in one call and described by
// numbers. Nothing is allocated for a packet unless text, payload or packet object is asked for.
import { detailText } from "../protocol/details.ts";
import type { PublishPacket } from "../protocol/packet.ts";
import type { ProtocolLevel, Qos } from "../protocol/packet-types.ts";
import { decodeBytes, packetLength } from "./codec.ts";
import { CoreError } from "./core-errors.ts";
import {
  H_CONSUMED,
  H_DETAIL,
  H_OFFSET,
  H_REASON,
  H_TOTAL,
  INPUT_SIZE,
  NO_VALUE,
  RUN_ALIAS,
  RUN_CAPACITY,
  RUN_EXPIRY,
  RUN_FLAGS,
  RUN_PACKET_ID,
  RUN_PAYLOAD,
  RUN_PAYLOAD_LEN,
  RUN_START,
  RUN_TOPIC,
  RUN_TOPIC_LEN,
  RUN_TOTAL,
  RUN_WORDS,
} from "./generated/abi.ts";
import type { Region } from "./region.ts";

/**
 * Why a run ends: `end`: the chunk does; `incomplete`: the rest is the beginning of a packet; `other`: a packet that is
 * not PUBLISH follows, for decode(); `full`: call again with what is behind `consumed`; `error`: the next packet is wrong.
 */
export type RunStop = "end" | "incomplete" | "other" | "full" | "error";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What of the chunk goes into the core at once. A packet longer than the input region goes alone. */
function firstPart(chunk: Uint8Array): Uint8Array {
  if (chunk.length <= INPUT_SIZE) return chunk;
  const first = packetLength(chunk, 0, chunk.length);
  return chunk.subarray(0, first > INPUT_SIZE && first <= chunk.length ? first : INPUT_SIZE);
}

/**
 * What parsePublishes() found. Offsets are counted from the start of the chunk. One object per core: the next call of
 * parsePublishes() writes it anew.
 */
export class PublishRun {
  readonly #region: Region;
  readonly #table: number;
  #chunk: Uint8Array = new Uint8Array(0);
  #level: ProtocolLevel = 4;
  #base = 0;
  #count = 0;
  #consumed = 0;
  #stop: RunStop = "end";
  #reasonCode = 0;
  #detail = 0;
  #offset = 0;

  constructor(region: Region) {
    this.#region = region;
    this.#table = region.core.runPtr() >>> 2;
  }

  /** Packets described, at most 4,096. */
  get count(): number {
    return this.#count;
  }
  /** Bytes of these packets. */
  get consumed(): number {
    return this.#consumed;
  }
  get stop(): RunStop {
    return this.#stop;
  }
  /** Of `error`: what a DISCONNECT should say; else 0. */
  get reasonCode(): number {
    return this.#reasonCode;
  }
  /** Of `error`: what exactly was wrong, in words; else empty. */
  get detail(): string {
    return this.#detail === 0 ? "" : detailText(this.#detail);
  }
  /** Of `error`: the offending byte, counted from `consumed`. */
  get offset(): number {
    return this.#offset;
  }

  /** Fills this object; called by parsePublishes(). */
  parse(chunk: Uint8Array, level: ProtocolLevel): this {
    const region = this.#region;
    const bytes = firstPart(chunk);
    this.#chunk = chunk;
    this.#level = level;
    region.withBytes(bytes, (ptr) => {
      this.#base = ptr;
      this.#count = region.core.parseRun(ptr, bytes.length, level);
    });
    this.#consumed = region.header(H_CONSUMED);
    this.#reasonCode = region.header(H_REASON);
    this.#detail = region.header(H_DETAIL);
    this.#offset = region.header(H_OFFSET);
    this.#stop = this.#whyStopped(bytes.length);
    return this;
  }

  #whyStopped(seen: number): RunStop {
    if (this.#reasonCode !== 0) return "error";
    if (this.#consumed === this.#chunk.length) return "end";
    if (this.#count === RUN_CAPACITY) return "full";
    const total = this.#region.header(H_TOTAL);
    if (total !== 0 && total <= seen - this.#consumed) return "other";
    // Cut by the size of the input region, not by the chunk.
    if (this.#consumed > 0 && seen < this.#chunk.length) return "full";
    return "incomplete";
  }

  start(i: number): number {
    return this.#word(i, RUN_START) - this.#base;
  }
  /** bytes of the packet */
  length(i: number): number {
    return this.#word(i, RUN_TOTAL);
  }
  qos(i: number): Qos {
    return ((this.#word(i, RUN_FLAGS) >> 1) & 3) as Qos;
  }
  retain(i: number): boolean {
    return (this.#word(i, RUN_FLAGS) & 1) !== 0;
  }
  dup(i: number): boolean {
    return (this.#word(i, RUN_FLAGS) & 8) !== 0;
  }
  /** 0 with QoS 0 */
  packetId(i: number): number {
    return this.#word(i, RUN_PACKET_ID);
  }
  topicStart(i: number): number {
    return this.#word(i, RUN_TOPIC) - this.#base;
  }
  /** bytes; 0: the Topic Alias names the topic */
  topicLength(i: number): number {
    return this.#word(i, RUN_TOPIC_LEN);
  }
  payloadStart(i: number): number {
    return this.#word(i, RUN_PAYLOAD) - this.#base;
  }
  payloadLength(i: number): number {
    return this.#word(i, RUN_PAYLOAD_LEN);
  }
  /** 0: none */
  topicAlias(i: number): number {
    return this.#word(i, RUN_ALIAS);
  }
  /** s; undefined: none */
  messageExpiryInterval(i: number): number | undefined {
    const expiry = this.#word(i, RUN_EXPIRY);
    return expiry === NO_VALUE ? undefined : expiry;
  }

  topic(i: number): string {
    const start = this.topicStart(i);
    return decoder.decode(this.#chunk.subarray(start, start + this.topicLength(i)));
  }
  /** A view of the chunk, not a copy. */
  payload(i: number): Uint8Array {
    const start = this.payloadStart(i);
    return this.#chunk.subarray(start, start + this.payloadLength(i));
  }
  /** The whole packet as an object, properties included. */
  packet(i: number): PublishPacket {
    const start = this.start(i);
    const bytes = this.#chunk.subarray(start, start + this.length(i));
    const decoded = decodeBytes(this.#region, bytes, this.#level);
    if (decoded.status !== "packet" || decoded.packet.type !== "publish") {
      throw new CoreError("CORE_ARGUMENT", "the chunk was changed after it had been parsed");
    }
    return decoded.packet;
  }

  #word(i: number, word: number): number {
    if (i >>> 0 !== i || i >= this.#count) {
      throw new CoreError("CORE_ARGUMENT", `packet ${i} of a run of ${this.#count}`);
    }
    return this.#region.words[this.#table + i * RUN_WORDS + word];
  }
}
