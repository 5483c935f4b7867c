// Whose devices may register: judged by what the embedder's own registry says of the product.
import { expect, test } from "vitest";
import type { KnownProduct } from "../../../src/platform/registry/index.ts";
import { Registrar } from "../../../src/platform/sign-in/registration.ts";
import { sign } from "../../../src/platform/sign-in/signature.ts";
import { exampleRegistry, PK } from "../devices.ts";

const content = `deviceNamedevice1productKey${PK}random1`;

function judgement(dynamicRegistration: boolean | undefined, productSecret: string): number | undefined {
  const registry = exampleRegistry();
  const known = registry.findProduct(PK) ?? expect.fail();
  const product: KnownProduct = { ...known, dynamicRegistration };
  const registrar = new Registrar({
    generation: 1,
    findDevice: (productKey, deviceName) => registry.findDevice(productKey, deviceName),
    findProduct: () => product,
  });
  return registrar.judge({
    device: { productKey: PK, deviceName: "device1" },
    method: "hmacsha256",
    content,
    sign: Buffer.from(sign("hmacsha256", productSecret, content)),
  });
}

test.each([
  [true, undefined],
  [false, 6288],
  [undefined, 6288],
])("[DYN-1] the product's switch is %s: %s", (dynamicRegistration, error) => {
  expect(judgement(dynamicRegistration, "ProductSecret001")).toBe(error);
  // Who does not know the product's secret is told nothing of the switch.
  expect(judgement(dynamicRegistration, "another secret")).toBe(6600);
});
