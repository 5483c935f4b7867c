// Segments against a model that keeps every message as its own array: whatever is still referred to reads as it was
// written, and nothing that nobody refers to is kept.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DELIVERY_WORDS } from "../../src/store/contract/store.ts";
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
  const references: Reference[] = [];
  const check = (): void => {
    for (const { segment, offset, bytes } of references)
      expect(
        segments
          .buffer(segment)
          .subarray(offset, offset + bytes.length)
          .equals(bytes),
      ).toBe(true);
  };
  const gone: number[] = [];
  segments.onGone = (serial) => gone.push(serial);
  /** Offsets the store must know of the open segment, and the serial numbers it got with those before. */
  let noted: number[] = [];
  const serials = new Map<number, number>();
  const expectedGone: number[] = [];
  const forget = (id: number): void => {
    const serial = serials.get(id);
    if (serial === undefined || references.some((one) => one.segment === id)) return;
    serials.delete(id);
    expectedGone.push(serial);
  };
  const refer = (offset: number, bytes: Buffer, keep: boolean): void => {
    if (!keep) return;
    segments.retain(segments.open);
    // Every third one belongs to a session that survives.
    if (references.length % 3 === 0) {
      segments.note(7, references.length, offset, 1, 2, 3);
      noted.push(offset);
    }
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
        if (one === undefined) break;
        segments.release(one.segment);
        forget(one.segment);
        break;
      }
      case "seal": {
        const { open } = segments;
        const sealed = segments.seal();
        const used = references.filter((one) => one.segment === open);
        expect(sealed !== undefined).toBe(used.length > 0 && noted.length > 0);
        if (sealed !== undefined) {
          const words = [...sealed.deliveries];
          expect(noted).toEqual(words.filter((_, i) => i % DELIVERY_WORDS === 2));
          expect(sealed.serial).toBeGreaterThan(Math.max(0, ...gone, ...serials.values()));
          serials.set(open, sealed.serial);
          for (const { offset, bytes } of used)
            expect(sealed.bytes.subarray(offset, offset + bytes.length).equals(bytes)).toBe(true);
        }
        noted = [];
      }
    }
    check();
  }
  const { open } = segments;
  const last = segments.seal();
  if (last !== undefined) serials.set(open, last.serial);
  check();
  const alive = new Set(references.map((one) => one.segment));
  expect(segments.count).toBe(alive.size);
  let bytes = 0;
  for (const id of alive) bytes += segments.buffer(id).length + 128;
  expect(segments.bytes).toBe(bytes);
  for (const one of references.splice(0)) segments.release(one.segment);
  for (const id of [...serials.keys()]) forget(id);
  expect(gone.sort()).toEqual(expectedGone.sort());
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
    segments.note(1, 0, 0, 1, 0xffffffff, 0);
    expect(segments.seal()?.bytes).toHaveLength(64);
    expect(segments.bytes).toBe(64 + 128);
  });

  test("a segment that is gone is an error, not somebody else's bytes", () => {
    const segments = new Segments();
    segments.append(Buffer.alloc(64), 0, 64);
    const id = segments.open;
    segments.retain(id);
    expect(segments.seal()).toBeUndefined(); // nothing in it that must survive
    segments.release(id);
    expect(() => segments.buffer(id)).toThrow(/gone/);
  });
});

test("a pinned segment is gone for the store when it is unpinned, and not before nobody refers to it", () => {
  const segments = new Segments();
  const gone: number[] = [];
  segments.onGone = (serial) => gone.push(serial);
  const sealed = (): { id: number; serial: number } => {
    segments.append(memory, 0, 8);
    const id = segments.open;
    segments.retain(id);
    segments.note(1, 0, 0, 1, 0, 0);
    const serial = segments.nextSerial;
    segments.pin(serial);
    expect(segments.seal()?.serial).toBe(serial);
    return { id, serial };
  };
  const early = sealed();
  segments.release(early.id);
  expect(gone).toEqual([]);
  segments.unpin(early.serial);
  expect(gone).toEqual([early.serial]);
  const late = sealed();
  segments.unpin(late.serial);
  expect(gone).toEqual([early.serial]);
  segments.release(late.id);
  expect(gone).toEqual([early.serial, late.serial]);
});
