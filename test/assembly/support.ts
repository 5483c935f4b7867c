// The core as tests see it: both builds, called directly, with packets placed at the very end of memory so that a read
// past the promised slack traps, between bytes the caller chooses so that a read outside shows.
import { readFileSync } from "node:fs";
import { H_DETAIL, H_OFFSET, H_TOTAL, SLACK } from "../../src/core/generated/abi.ts";
import type { Packet } from "../../src/protocol/packet.ts";
import { readPacket } from "../../src/protocol/packet-reader.ts";

interface CodecExports {
  memory: WebAssembly.Memory;
  headerPtr(): number;
  decodePacket(ptr: number, length: number, level: number): number;
  parseRun(ptr: number, length: number, level: number): number;
  runPtr(): number;
  validateUtf8(ptr: number, length: number): number;
  validateUtf8Payload(ptr: number, length: number): number;
}

export interface Decoded {
  /** 0, DECODE_INCOMPLETE or a reason code */
  result: number;
  detail: number;
  offset: number;
  total: number;
  packet: Packet | undefined;
}

const PAGE = 65536;
const REGION = 4 * PAGE;

export class TestCore {
  readonly name: string;
  readonly exports: CodecExports;
  readonly #end: number; // of the last byte of input; SLACK bytes of memory follow, and nothing behind them

  constructor(build: "release" | "debug") {
    this.name = build;
    const file = build === "release" ? "core.wasm" : "core.debug.wasm";
    const module = new WebAssembly.Module(
      readFileSync(new URL(`../../src/core/generated/${file}`, import.meta.url)),
    );
    const abort = (_message: number, _file: number, line: number, column: number) => {
      throw new Error(`assertion in the core, line ${line}:${column}`);
    };
    this.exports = new WebAssembly.Instance(module, { env: { abort } }).exports as unknown as CodecExports;
    this.exports.memory.grow(REGION / PAGE);
    this.#end = this.exports.memory.buffer.byteLength - SLACK;
  }

  get u8(): Uint8Array {
    return new Uint8Array(this.exports.memory.buffer);
  }

  word(index: number): number {
    return new Uint32Array(this.exports.memory.buffer, this.exports.headerPtr(), index + 1)[index];
  }

  /** Puts bytes before the end of memory, `around` in front and behind, and returns their address. */
  place(bytes: Uint8Array, around = 0xaa): number {
    const ptr = this.#end - bytes.length;
    this.u8.fill(around, Math.max(ptr - SLACK, this.#end + SLACK - REGION));
    this.u8.set(bytes, ptr);
    return ptr;
  }

  decode(bytes: Uint8Array, level: number, around = 0xaa): Decoded {
    const { exports } = this;
    const result = exports.decodePacket(this.place(bytes, around), bytes.length, level);
    return {
      result,
      detail: this.word(H_DETAIL),
      offset: this.word(H_OFFSET),
      total: this.word(H_TOTAL),
      packet: result === 0 ? readPacket(exports.memory.buffer, exports.headerPtr()) : undefined,
    };
  }
}

export const cores = [new TestCore("release"), new TestCore("debug")];
