import { describe, expect, test } from "vitest";
import { BufferPool } from "../../src/connection/buffer-pool.ts";

const KIB = 1024;

describe("BufferPool", () => {
  test.each([
    [1, 16],
    [16 * KIB, 16],
    [16 * KIB + 1, 32],
    [64 * KIB, 64],
    [64 * KIB + 1, 128],
    [256 * KIB, 256],
  ])("%i bytes come in a buffer of %i KiB", (size, kib) => {
    expect(new BufferPool().take(size)).toHaveLength(kib * KIB);
  });

  test("more than it keeps comes in its exact size, and is not kept", () => {
    const pool = new BufferPool();
    const large = pool.take(256 * KIB + 1);
    expect(large).toHaveLength(256 * KIB + 1);
    pool.give(large);
    expect(pool.take(256 * KIB + 1).buffer).not.toBe(large.buffer);
  });

  test("what is given back is handed out again, whole, though a part was given", () => {
    const pool = new BufferPool();
    const first = pool.take(20_000);
    pool.give(first.subarray(5, 9));
    const second = pool.take(30_000);
    expect(second.buffer).toBe(first.buffer);
    expect(second).toHaveLength(32 * KIB);
    expect(pool.take(30_000).buffer).not.toBe(first.buffer);
  });

  test("a buffer of somebody else is not", () => {
    const pool = new BufferPool();
    const foreign = Buffer.allocUnsafeSlow(16 * KIB);
    pool.give(foreign);
    expect(pool.take(1).buffer).not.toBe(foreign.buffer);
  });

  test("it keeps 2 MiB of each size", () => {
    const pool = new BufferPool();
    const taken = Array.from({ length: 9 }, () => pool.take(256 * KIB));
    for (const buffer of taken) pool.give(buffer);
    const known = new Set(taken.map((buffer) => buffer.buffer));
    const again = Array.from({ length: 9 }, () => pool.take(256 * KIB));
    expect(again.filter((buffer) => known.has(buffer.buffer))).toHaveLength(8);
  });
});
