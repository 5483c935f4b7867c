// The core's heap on both builds: no overlap, nothing lost, and freed memory that serves again in any size.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BUILDS, TestCore } from "../topics/core.ts";

const size = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 1000, max: 70_000 }),
  fc.constantFrom(16, 17, 32_768, 32_769, 65_536, 65_537, 131_072, 1_048_576, 3_000_000),
);

describe.each(BUILDS)("heap in %s", (build) => {
  test("blocks are aligned, never overlap, keep their bytes, and all come back", () => {
    const { wasm } = new TestCore(build);
    const before = wasm.heapUsed();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), size), { maxLength: 300, size: "max" }),
        (actions) => {
          const blocks: { ptr: number; size: number; stamp: number }[] = [];
          const view = (): Uint8Array => new Uint8Array(wasm.memory.buffer);
          const stamp = (ptr: number, length: number, value: number): void => {
            view().fill(value, ptr, ptr + Math.min(length, 64));
            view().fill(value, ptr + Math.max(0, length - 64), ptr + length);
          };
          const intact = ({ ptr, size: length, stamp: value }: (typeof blocks)[number]): boolean =>
            view()
              .subarray(ptr, ptr + Math.min(length, 64))
              .every((byte) => byte === value) &&
            view()
              .subarray(ptr + Math.max(0, length - 64), ptr + length)
              .every((byte) => byte === value);
          for (const [i, [dice, bytes]] of actions.entries()) {
            if (dice < 6 || blocks.length === 0) {
              const ptr = wasm.alloc(bytes);
              expect(ptr % 16).toBe(0);
              expect(ptr).toBeGreaterThan(0);
              const clash = blocks.find(
                (other) => ptr < other.ptr + Math.max(other.size, 1) && other.ptr < ptr + Math.max(bytes, 1),
              );
              expect(clash).toBeUndefined();
              stamp(ptr, bytes, i & 0xff);
              blocks.push({ ptr, size: bytes, stamp: i & 0xff });
            } else {
              const [block] = blocks.splice((bytes * 31) % blocks.length, 1);
              expect(intact(block)).toBe(true);
              wasm.free(block.ptr, block.size);
            }
          }
          expect(wasm.heapUsed()).toBeGreaterThanOrEqual(
            before + blocks.reduce((sum, block) => sum + block.size, 0),
          );
          expect(wasm.heapUsed()).toBeLessThanOrEqual(wasm.heapTotal());
          for (const block of blocks) {
            expect(intact(block)).toBe(true);
            wasm.free(block.ptr, block.size);
          }
          expect(wasm.heapUsed()).toBe(before);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("a freed block is used again: the memory does not grow by churn", () => {
    const { wasm } = new TestCore(build);
    const sizes = [16, 100, 5000, 40_000, 200_000];
    for (let round = 0; round < 3; round++) {
      const blocks = sizes.flatMap((bytes) => Array.from({ length: 20 }, () => [wasm.alloc(bytes), bytes]));
      for (const [ptr, bytes] of blocks) wasm.free(ptr, bytes);
    }
    const total = wasm.heapTotal();
    for (let round = 0; round < 50; round++) {
      const blocks = sizes.flatMap((bytes) => Array.from({ length: 20 }, () => [wasm.alloc(bytes), bytes]));
      for (const [ptr, bytes] of blocks) wasm.free(ptr, bytes);
    }
    expect(wasm.heapTotal()).toBe(total);
  });

  test.each(["first to last", "last to first", "every other, then the rest"])(
    "neighbouring free blocks merge: %s",
    (order) => {
      const { wasm } = new TestCore(build);
      const size = 40_000; // a page each
      const blocks = Array.from({ length: 1000 }, () => wasm.alloc(size));
      const total = wasm.heapTotal();
      const rank = (i: number): number =>
        order === "first to last" ? i : order === "last to first" ? -i : i % 2;
      const freed = blocks.map((ptr, i) => ({ ptr, rank: rank(i) })).sort((a, b) => a.rank - b.rank);
      for (const { ptr } of freed) wasm.free(ptr, size);
      const big = wasm.alloc(990 << 16);
      expect(big).toBeGreaterThan(0);
      expect(wasm.heapTotal()).toBe(total);
    },
  );

  test("small blocks make room for a big one", () => {
    const { wasm } = new TestCore(build);
    const blocks: number[] = [];
    for (let taken = 0; taken < 32 << 20; taken += 64) blocks.push(wasm.alloc(64));
    const total = wasm.heapTotal();
    for (const ptr of blocks) wasm.free(ptr, 64);
    expect(wasm.alloc(30 << 20)).toBeGreaterThan(0);
    expect(wasm.heapTotal()).toBe(total);
  });

  test("gaps in full pages are filled before new pages are taken", () => {
    const { wasm } = new TestCore(build);
    const blocks = Array.from({ length: 10_240 }, () => wasm.alloc(64));
    const gaps = new Set(blocks.filter((_, i) => i % 2 === 0 && i < 9000));
    for (const ptr of gaps) wasm.free(ptr, 64);
    const filled = Array.from(gaps, () => wasm.alloc(64));
    expect(new Set(filled).size).toBe(gaps.size);
    expect(filled.filter((ptr) => gaps.has(ptr)).length).toBeGreaterThanOrEqual(gaps.size - 1024);
  });

  test("doubling a block leaves its old halves to others", () => {
    const { wasm } = new TestCore(build);
    let block = wasm.alloc(1 << 20);
    for (let log2 = 21; log2 <= 26; log2++) {
      const bigger = wasm.alloc(1 << log2);
      wasm.free(block, 1 << (log2 - 1));
      block = bigger;
    }
    const total = wasm.heapTotal();
    const rest = Array.from({ length: 55 }, () => wasm.alloc(1 << 20));
    expect(wasm.heapTotal()).toBe(total);
    expect(new Set(rest).size).toBe(55);
  });

  test("0 when memory cannot grow that far, and everything goes on", () => {
    const { wasm } = new TestCore(build);
    const used = wasm.heapUsed();
    expect(wasm.alloc(0xffff_ffff)).toBe(0);
    const half = wasm.alloc(0x8000_0000);
    expect(half).toBeGreaterThan(0);
    expect(wasm.alloc(0x8000_0000)).toBe(0);
    wasm.free(half, 0x8000_0000);
    expect(wasm.heapUsed()).toBe(used);
    expect(wasm.alloc(100)).toBeGreaterThan(0);
  });
});
