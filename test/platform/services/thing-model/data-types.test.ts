// Values against a thing model: each data type at and beyond its ranges and lengths, and what a model does not say.
import { describe, expect, test } from "vitest";
import { checkValue, readDataType } from "../../../../src/platform/services/thing-model/data-types.ts";
import { ThingModel, ThingModels } from "../../../../src/platform/services/thing-model/thing-model.ts";
import { MemoryRegistry } from "../../../../src/platform/registry/index.ts";
import { MODEL } from "../../thing-models.ts";

const model = new ThingModel(MODEL);

describe("properties", () => {
  test.each<[string, unknown[], unknown[], number]>([
    ["Power", [0, 1], [2, -1, true, "1", null], 6308],
    ["Level", [0, 100], [-1, 101, 1.5, "5", null, [], Number.NaN], 6306],
    ["Ratio", [0, 0.5, 1], [-0.1, 1.1, "0"], 6307],
    ["Heat", [-40, 120, 0.25], [-41, 121, {}], 6322],
    ["Name", ["", "12345678", "äöüß"], ["123456789", "äöüßx", 5, null], 6310],
    ["Since", ["0", "1579335899000"], [1579335899000, "", "now", "-1"], 6311],
    ["Mode", [1, 3], [2, "1", 1.5], 6309],
    ["Position", [{}, { latitude: 1 }, { latitude: 90, longitude: -180 }], [[], 5, null], 6312],
    ["Samples", [[], [1, 2, 3]], [[1, 2, 3, 4]], 6324],
    ["Samples", [[]], [{}, "x"], 6328],
    ["Samples", [[]], [["x"]], 6306],
    ["Position", [{}], [{ latitude: 91 }], 6322],
    ["Position", [{}], [{ altitude: 1 }, JSON.parse('{"__proto__":1}')], 6304],
  ])("%s takes its values, and refuses others with its code", (id, good, bad, code) => {
    for (const value of good) expect([value, model.checkProperty(id, value)]).toEqual([value, undefined]);
    for (const value of bad) expect([value, model.checkProperty(id, value)?.code]).toEqual([value, code]);
  });

  test("unknown names, `constructor` and `__proto__` among them, are 6304; read-only ones may not be set", () => {
    for (const id of ["Other", "constructor", "__proto__", ""])
      expect(model.checkProperty(id, 1)).toEqual({
        code: 6304,
        message: `tsl parse: params not exist -> ${id}`,
      });
    expect(model.checkProperty("Heat", 1)).toBeUndefined();
    expect(model.checkSetting("Heat", 1)?.code).toBe(460);
    expect(model.checkSetting("Level", 1)).toBeUndefined();
  });

  test("what a type does not say has no bound; a type nobody knows takes everything", () => {
    expect(checkValue(readDataType({ type: "int" }), 2_147_483_647)).toBeUndefined();
    expect(checkValue(readDataType({ type: "int" }), 2_147_483_648)?.code).toBe(6306);
    expect(
      checkValue(readDataType({ type: "text", specs: { length: "" } }), "x".repeat(99_999)),
    ).toBeUndefined();
    for (const unknown of [{ type: "colour" }, {}, undefined, 5, []])
      expect(checkValue(readDataType(unknown), { any: "thing" })).toBeUndefined();
  });

  test("a type of absurd depth is read, and not checked behind a bound", () => {
    let type: object = { type: "int" };
    for (let i = 0; i < 10_000; i++) type = { type: "array", specs: { item: type } };
    expect(checkValue(readDataType(type), [["x"]])?.code).toBe(6328);
  });
});

test("events and services: parameters are checked, kinds of call known", () => {
  expect(model.checkEvent("Broken", { ErrorCode: 9 })).toBeUndefined();
  expect(model.checkEvent("Broken", {})).toBeUndefined();
  expect(model.checkEvent("Broken", { ErrorCode: 10 })?.code).toBe(6306);
  expect(model.checkEvent("Other", {})?.code).toBe(6304);
  expect(model.checkService("Reset", { Delay: 61 })?.code).toBe(6306);
  expect([model.service("Reset")?.sync, model.service("Measure")?.sync]).toEqual([false, true]);
});

test("models are read once, and again when the product has changed; one that is no TSL is no model", async () => {
  const registry = new MemoryRegistry();
  const warnings: string[] = [];
  const models = new ThingModels(registry, {
    warn: (_fields: object, text: string) => void warnings.push(text),
  });
  registry.on("product.changed", ({ productKey }) => models.forget(productKey));
  registry.putProduct({ productKey: "a1" });
  expect(models.of("a1")).toBeUndefined();
  await registry.setModel("a1", JSON.stringify(MODEL));
  const first = models.of("a1");
  expect(first?.deviceType).toBe("Ammeter");
  expect(models.of("a1")).toBe(first);
  await registry.setModel("a1", '{"properties":[5,{"identifier":7},{"identifier":"x"}],"events":{}}');
  expect(models.of("a1")?.checkProperty("x", "anything")).toBeUndefined();
  expect(models.of("a1")?.checkProperty("y", 1)?.code).toBe(6304);
  await registry.setModel("a1", '{"hello":1}');
  expect(models.of("a1")).toBeUndefined();
  expect(warnings).toHaveLength(1);
});
