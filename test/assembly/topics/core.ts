// Loads both builds of the core and offers its heap and topic table to tests with strings in place of addresses.
import { readFileSync } from "node:fs";

export interface Exports {
  memory: WebAssembly.Memory;
  alloc(size: number): number;
  free(ptr: number, size: number): void;
  heapUsed(): number;
  heapTotal(): number;
  setSeed(a: number, b: number, c: number, d: number): void;
  setMaxLevels(count: number): void;
  scanTopicName(ptr: number, len: number): number;
  scanTopicFilter(ptr: number, len: number): number;
  levelsPtr(): number;
  levelCount: { readonly value: number };
  topicHash: { readonly value: bigint };
  topicHash2: { readonly value: number };
  subscribe(ptr: number, len: number, item: number, options: number): number;
  unsubscribe(ptr: number, len: number, item: number): number;
  matchTopic(): number;
  listsPtr(): number;
  filterCount(): number;
  subscriptionCount(): number;
  tableBytes(): number;
  filterMatches(filterPtr: number, filterLen: number, topicPtr: number, topicLen: number): number;
}

/** SIMD loads read up to 15 bytes behind a string. */
const SLACK = 64;
const encoder = new TextEncoder();

export class TestCore {
  readonly wasm: Exports;
  private readonly areas: [number, number];

  constructor(file: string) {
    const module = new WebAssembly.Module(
      readFileSync(new URL(`../../../src/core/generated/${file}`, import.meta.url)),
    );
    const abort = (_message: number, _file: number, line: number, column: number): void => {
      throw new Error(`assertion failed in the core at ${line >>> 0}:${column >>> 0}`);
    };
    this.wasm = new WebAssembly.Instance(module, { env: { abort } }).exports as unknown as Exports;
    this.areas = [this.wasm.alloc(0x1ffff + SLACK), this.wasm.alloc(0x1ffff + SLACK)];
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.wasm.memory.buffer);
  }

  words(): Uint32Array {
    return new Uint32Array(this.wasm.memory.buffer);
  }

  /** Writes a string at an odd address, with rubbish behind it that must not matter. */
  put(text: string | Uint8Array, area: 0 | 1 = 0): [number, number] {
    const bytes = typeof text === "string" ? encoder.encode(text) : text;
    const at = this.areas[area] + 1;
    this.bytes().set(bytes, at);
    this.bytes().fill(0xff, at + bytes.length, at + bytes.length + 32);
    return [at, bytes.length];
  }

  scanName(topic: string | Uint8Array): number {
    return this.wasm.scanTopicName(...this.put(topic));
  }

  scanFilter(filter: string | Uint8Array): number {
    return this.wasm.scanTopicFilter(...this.put(filter));
  }

  /** Levels of the last scanName(): hash, start and length of each. */
  levels(): { hash: string; start: number; length: number }[] {
    const view = new DataView(this.wasm.memory.buffer, this.wasm.levelsPtr());
    return Array.from({ length: this.wasm.levelCount.value }, (_, i) => ({
      hash: `${view.getBigUint64(i * 16, true).toString(16)}.${view.getUint32(i * 16 + 8, true).toString(16)}`,
      start: view.getUint16(i * 16 + 12, true),
      length: view.getUint16(i * 16 + 14, true),
    }));
  }

  /** The 96-bit key of a topic. */
  topicKey(topic: string): string {
    this.scanName(topic);
    const { topicHash, topicHash2 } = this.wasm;
    return `${BigInt.asUintN(64, topicHash.value).toString(16)}.${(topicHash2.value >>> 0).toString(16)}`;
  }

  subscribe(filter: string, item: number, options = 0): number {
    return this.wasm.subscribe(...this.put(filter), item, options);
  }

  unsubscribe(filter: string, item: number): number {
    return this.wasm.unsubscribe(...this.put(filter), item);
  }

  match(topic: string): string[] {
    const detail = this.scanName(topic);
    if (detail !== 0) throw new Error(`topic refused: ${detail}`);
    const runs = this.wasm.matchTopic();
    const words = this.words();
    const found: string[] = [];
    for (let run = this.wasm.listsPtr() >>> 2, end = run + runs * 2; run < end; run += 2) {
      const first = words[run] >>> 2;
      for (let i = 0; i < words[run + 1]; i++)
        found.push(`${words[first + i * 2]}:${words[first + i * 2 + 1]}`);
    }
    return found.sort();
  }

  filterMatches(filter: string, topic: string): boolean {
    return this.wasm.filterMatches(...this.put(filter, 0), ...this.put(topic, 1)) !== 0;
  }
}

export const BUILDS = ["core.wasm", "core.debug.wasm"];
