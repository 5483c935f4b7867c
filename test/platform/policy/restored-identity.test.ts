// A session that comes back from the store has no policy data: its key alone names the device [SESS-0].
import { expect, test } from "vitest";
import { resolveLimits } from "../../../src/limits.ts";
import { createPlatformPolicy } from "../../../src/platform/policy/platform-policy.ts";
import { MemoryRegistry } from "../../../src/platform/registry/index.ts";
import { DEFAULT_CLASSES } from "../../../src/platform/names/topic-classes.ts";

test("TOPIC-1: a restored identity keeps the rights of its device, and no others", async () => {
  const registry = new MemoryRegistry();
  registry.putProduct({ productKey: "a1restored1", productSecret: "secret", topicClasses: DEFAULT_CLASSES });
  const policy = createPlatformPolicy({ registry, limits: resolveLimits() });
  const identity = { clientId: "x", username: undefined, sessionKey: "a1restored1/device1" };
  const may = async (topic: string) => (await policy.authorizePublish(identity, topic, 0, false)).allow;
  expect(await may("/a1restored1/device1/user/update")).toBe(true);
  expect(await may("/a1restored1/device2/user/update")).toBe(false);
});
