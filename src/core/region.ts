// Memory of a stand-alone core, as codec and matcher share it: what goes in is copied to the input region, what comes
// out is read as words. No API of any runtime beyond WebAssembly; the broker has border.ts instead.
import { CoreError } from "./core-errors.ts";
import { INPUT_SIZE, SLACK } from "./generated/abi.ts";
import type { CoreExports } from "./module.ts";

/** Longest UTF-8 Encoded String of MQTT. */
const MAX_STRING = 65_535;
const LONE_SURROGATE = /\p{Surrogate}/u;
const encoder = new TextEncoder();

export class Region {
  readonly core: CoreExports;
  /** Address of the input region, INPUT_SIZE bytes. */
  readonly input: number;
  readonly #header: number;
  #bytes: Uint8Array;
  #words: Uint32Array;

  constructor(core: CoreExports) {
    this.core = core;
    this.input = core.inputBase.value;
    this.#header = core.headerPtr() >>> 2;
    this.#bytes = new Uint8Array(core.memory.buffer);
    this.#words = new Uint32Array(core.memory.buffer);
  }

  /** All of the memory. Growth empties old views, so it is asked for anew behind every call that may grow. */
  get bytes(): Uint8Array {
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.core.memory.buffer);
    return this.#bytes;
  }

  get words(): Uint32Array {
    if (this.#words.length === 0) this.#words = new Uint32Array(this.core.memory.buffer);
    return this.#words;
  }

  /** A word of the header: H_* or D_*. */
  header(word: number): number {
    return this.words[this.#header + word];
  }

  /** Runs `use` with the address of a copy of the bytes: the input region, or for more a block that is freed again. */
  withBytes<T>(bytes: Uint8Array, use: (ptr: number) => T): T {
    if (bytes.length <= INPUT_SIZE) {
      this.bytes.set(bytes, this.input);
      return use(this.input);
    }
    const size = bytes.length + SLACK;
    const ptr = this.core.alloc(size);
    if (ptr === 0) throw new CoreError("CORE_MEMORY", `no memory for a packet of ${bytes.length} bytes`);
    try {
      this.bytes.set(bytes, ptr);
      return use(ptr);
    } finally {
      this.core.free(ptr, size);
    }
  }

  /** Writes a string as UTF-8 to `at` and returns its length in bytes; -1: too long, or not well-formed. */
  writeString(text: string | Uint8Array, at: number): number {
    if (text.length > MAX_STRING) return -1;
    const bytes = this.bytes;
    if (typeof text !== "string") {
      bytes.set(text, at);
      return text.length;
    }
    // Names are short and nearly always ASCII: a loop is faster than TextEncoder, and allocates nothing.
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return this.#writeUtf8(text, at);
      bytes[at + i] = unit;
    }
    return text.length;
  }

  #writeUtf8(text: string, at: number): number {
    if (LONE_SURROGATE.test(text)) return -1; // [MQTT-1.5.4-1]
    const { read, written } = encoder.encodeInto(text, this.bytes.subarray(at, at + MAX_STRING));
    return read === text.length ? written : -1;
  }
}
