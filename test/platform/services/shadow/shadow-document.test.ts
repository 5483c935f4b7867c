// What requests make of a shadow, as values.
import { describe, expect, test } from "vitest";
import { DEFAULT_SETTINGS } from "../../../../src/platform/settings/settings.ts";
import {
  applyToShadow,
  EMPTY_SHADOW,
  type ShadowDocument,
  type ShadowError,
  type ShadowRequest,
  shadowMetadata,
  shadowState,
} from "../../../../src/platform/services/shadow/shadow-document.ts";

const update = (state: unknown, version: unknown, on: ShadowDocument = EMPTY_SHADOW, now = 100) =>
  applyToShadow(on, { method: "update", state, version }, now, DEFAULT_SETTINGS.shadow);

function kept(result: ShadowDocument | ShadowError): ShadowDocument {
  if (typeof result === "number") throw new Error(`refused with ${result}`);
  return result;
}

const empty = (count: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, {}]));

const filled = kept(
  update({ reported: { colour: "red", size: { w: 1, h: 2 } }, desired: { colour: "blue" } }, 5),
);

describe("[SHADOW-1] updates and deletions", () => {
  test("an update sets properties and when they were set", () => {
    expect(shadowState(filled)).toEqual({
      reported: { colour: "red", size: { w: 1, h: 2 } },
      desired: { colour: "blue" },
    });
    expect(shadowMetadata(filled)).toEqual({
      reported: { colour: { timestamp: 100 }, size: { w: { timestamp: 100 }, h: { timestamp: 100 } } },
      desired: { colour: { timestamp: 100 } },
    });
    const later = kept(update({ reported: { colour: "green" } }, 6, filled, 200));
    expect(shadowState(later).reported).toEqual({ colour: "green", size: { w: 1, h: 2 } });
    expect(later.reportedAt.colour).toEqual({ timestamp: 200 });
    expect(later.desired).toEqual({ colour: "blue" });
  });

  test('"null" as a text clears desired; deletion takes properties, or all of them', () => {
    expect(shadowState(kept(update({ desired: "null" }, 6, filled)))).toEqual({
      reported: { colour: "red", size: { w: 1, h: 2 } },
    });
    const remove = (state: unknown) =>
      kept(applyToShadow(filled, { method: "delete", state, version: 6 }, 1, DEFAULT_SETTINGS.shadow));
    expect(shadowState(remove({ reported: { colour: "null", nothing: "null" } })).reported).toEqual({
      size: { w: 1, h: 2 },
    });
    expect(shadowState(remove({ reported: "null" }))).toEqual({ desired: { colour: "blue" } });
  });
});

describe("[SHADOW-2] versions and limits", () => {
  test("a version must be greater; milliseconds will do; -1 begins anew at 0", () => {
    expect(update({ reported: { a: 1 } }, 5, filled)).toBe(409);
    expect(update({ reported: { a: 1 } }, 4, filled)).toBe(409);
    for (const on of [filled, EMPTY_SHADOW])
      expect([-2, -5].map((below) => update({ reported: { a: 1 } }, below, on))).toEqual([409, 409]);
    expect(kept(update({ reported: { a: 1 } }, 1_700_000_000_000, filled)).version).toBe(1_700_000_000_000);
    const anew = kept(update({ reported: { a: 1 } }, -1, filled));
    expect(anew.version).toBe(0);
    expect(update({ reported: { a: 1 } }, 0, anew)).toBe(409);
    expect(kept(update({ reported: { a: 1 } }, 1, anew)).version).toBe(1);
    expect(kept(update({ reported: { a: 1 } }, 0)).version).toBe(0);
  });

  const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, i]));
  test.each<[string, Partial<ShadowRequest>, ShadowError]>([
    ["no state", { state: undefined }, 402],
    ["a state that is none", { state: [] }, 402],
    ["a version that is a text", { version: "6" }, 403],
    ["no version", { version: undefined }, 403],
    ["nothing reported", { state: {} }, 404],
    ["reported is no object", { state: { reported: 5 } }, 404],
    ["reported is empty", { state: { reported: {} } }, 405],
    ["129 properties", { state: { reported: many(129) } }, 408],
    ["129 desired", { state: { desired: many(129) } }, 408],
    ["129 empty objects", { state: { reported: empty(129) } }, 408],
    ["six levels desired", { state: { desired: nested(6) } }, 400],
    ["six levels", { state: { reported: nested(6) } }, 400],
    ["over 16 KiB", { state: { reported: { a: "x".repeat(16_384) } } }, 408],
  ])("%s", (_name, change, code) => {
    const request: ShadowRequest = { method: "update", state: { reported: { a: 1 } }, version: 1, ...change };
    expect(applyToShadow(EMPTY_SHADOW, request, 1, DEFAULT_SETTINGS.shadow)).toBe(code);
  });

  test("at the limits", () => {
    expect(update({ reported: many(128) }, 1)).toBeTypeOf("object");
    expect(update({ reported: nested(5) }, 1)).toBeTypeOf("object");
    const around = Buffer.byteLength(JSON.stringify({ reported: { a: "" } }));
    expect(update({ reported: { a: "x".repeat(16_384 - around) } }, 1)).toBeTypeOf("object");
    expect(update({ reported: { a: "x".repeat(16_385 - around) } }, 1)).toBe(408);
  });

  test("names such as __proto__ are properties like any other", () => {
    const state = JSON.parse('{"reported":{"__proto__":{"polluted":1},"constructor":2}}');
    const document = kept(update(state, 1));
    expect(JSON.stringify(shadowState(document))).toBe(
      '{"reported":{"__proto__":{"polluted":1},"constructor":2}}',
    );
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(shadowState(kept(update({ reported: { b: 1 } }, 2, document))).reported).toHaveProperty(
      "constructor",
      2,
    );
  });
});
