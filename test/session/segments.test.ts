// Segments against a model that keeps every message as its own array: whatever is still referred to reads as it was
// written, and nothing that nobody refers to is kept.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Segments } from "../../src/session/segments.ts";

type Step =
  | { kind: "append"; length: number; keep: boolean }
  | { kind: "parts"; first: number; second: number; keep: boolean }
  | { kind: "retain"; pick: number }
  | { kind: "release"; pick: number }
  | { kind: "seal" };

const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 400 }) },
  { weight: 1, arbitrary: fc.integer({ min: 30_000, max: 200_000 }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(length, fc.boolean())
      .map(([n, keep]): Step => ({ kind: "append", length: (n + 7) & ~7, keep })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(length, fc.nat(500), fc.boolean())
      .map(([first, second, keep]): Step => ({ kind: "parts", first, second, keep })),
  },
  { weight: 1, arbitrary: fc.nat().map((pick): Step => ({ kind: "retain", pick })) },
  { weight: 4, arbitrary: fc.nat().map((pick): Step => ({ kind: "release", pick })) },
  { weight: 3, arbitrary: fc.constant<Step>({ kind: "seal" }) },
);

interface Reference {
  segment: number;
  offset: number;
  bytes: Buffer;
}

const memory = Buffer.alloc(400_000);
let fill = 0;
function random(size: number): Buffer {
  fill = (fill * 31 + 17) & 0xff;
  return Buffer.alloc(size, fill);
}

function run(steps: readonly Step[]): void {
  const segments = new Segments();
  let references: Reference[] = [];
  const check = (): void => {
    for (const { segment, offset, bytes } of references)
      expect(
        segments
          .buffer(segment)
          .subarray(offset, offset + bytes.length)
          .equals(bytes),
      ).toBe(true);
  };
  const refer = (offset: number, bytes: Buffer, keep: boolean): void => {
    if (!keep) return;
    segments.retain(segments.open);
    references.push({ segment: segments.open, offset, bytes });
  };
  for (const action of steps) {
    switch (action.kind) {
      case "append": {
        const bytes = random(action.length);
        bytes.copy(memory, 1_000);
        refer(segments.append(memory, 1_000, bytes.length), bytes, action.keep);
        break;
      }
      case "parts": {
        const bytes = random(action.first + action.second);
        const [first, second] = [bytes.subarray(0, action.first), bytes.subarray(action.first)];
        refer(segments.appendParts(first, action.second > 0 ? second : undefined), bytes, action.keep);
        break;
      }
      case "retain": {
        const one = references[action.pick % Math.max(1, references.length)];
        if (one === undefined) break;
        segments.retain(one.segment);
        references.push({ ...one });
        break;
      }
      case "release": {
        const [one] = references.splice(action.pick % Math.max(1, references.length), 1);
        if (one !== undefined) segments.release(one.segment);
        break;
      }
      case "seal": {
        const { open } = segments;
        const sealed = segments.seal();
        const used = references.filter((one) => one.segment === open);
        expect(sealed?.id).toBe(open !== 0 && used.length > 0 ? open : undefined);
        for (const { offset, bytes } of used)
          expect(sealed?.bytes.subarray(offset, offset + bytes.length).equals(bytes)).toBe(true);
      }
    }
    check();
  }
  segments.seal();
  check();
  const alive = new Set(references.map((one) => one.segment));
  expect(segments.count).toBe(alive.size);
  let bytes = 0;
  for (const id of alive) bytes += segments.buffer(id).length + 128;
  expect(segments.bytes).toBe(bytes);
  for (const one of references) segments.release(one.segment);
  references = [];
  expect(segments).toMatchObject({ bytes: 0, count: 0 });
}

describe("Segments", () => {
  test("agree with their model", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => run(steps)),
      { numRuns: 200 },
    );
  });

  test("a segment of which little was used is kept in its own size", () => {
    const segments = new Segments();
    segments.append(Buffer.alloc(64, 7), 0, 64);
    segments.retain(segments.open);
    expect(segments.seal()?.bytes).toHaveLength(64);
    expect(segments.bytes).toBe(64 + 128);
  });

  test("a segment that is gone is an error, not somebody else's bytes", () => {
    const segments = new Segments();
    segments.append(Buffer.alloc(64), 0, 64);
    const id = segments.open;
    segments.retain(id);
    segments.seal();
    segments.release(id);
    expect(() => segments.buffer(id)).toThrow(/gone/);
  });
});
