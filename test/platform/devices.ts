// The names and secrets of the worked vectors, a registry that holds them, and a policy on it.
import type { ConnectRequest } from "../../src/access/policy.ts";
import { resolveLimits } from "../../src/limits.ts";
import {
  createPlatformPolicy,
  type PlatformPolicyOptions,
} from "../../src/platform/policy/platform-policy.ts";
import { MemoryRegistry } from "../../src/platform/registry/index.ts";
import type { TopicClass } from "../../src/platform/names/topic-classes.ts";
import { connectRequest } from "../access/requests.ts";

export const PK = "a1EXAMPLE01";
export const SECRET = "0123456789abcdef0123456789abcdef";
export const CLASSES: readonly TopicClass[] = [
  { suffix: "/user/update", permission: "PUB" },
  { suffix: "/user/update/error", permission: "PUB" },
  { suffix: "/user/get", permission: "SUB" },
  { suffix: "/user/cfg/#", permission: "SUB" },
  { suffix: "/user/+/ack", permission: "SUB" },
  { suffix: "/user/both", permission: "ALL" },
];

export function exampleRegistry(status: "enabled" | "disabled" = "enabled"): MemoryRegistry {
  const registry = new MemoryRegistry();
  registry.putProduct({ productKey: PK, productSecret: "ProductSecret001", topicClasses: CLASSES });
  registry.putDevice({
    productKey: PK,
    deviceName: "device1",
    deviceSecret: SECRET,
    enabled: status === "enabled",
  });
  registry.putDevice({ productKey: PK, deviceName: "device2", deviceSecret: "another secret" });
  registry.putProduct({ productKey: "pk", productSecret: "secret" });
  registry.putDevice({ productKey: "pk", deviceName: "device", deviceSecret: "secret" });
  return registry;
}

/** Without rates unless the settings name them: the same device signs in again and again. */
export function platformPolicy(options: Partial<PlatformPolicyOptions> = {}) {
  const settings = { rates: { enabled: false }, ...options.settings };
  return createPlatformPolicy({
    registry: exampleRegistry(),
    limits: resolveLimits(),
    ...options,
    settings,
  });
}

/** Content clientIda1EXAMPLE01.device1…timestamp2524608000000, hmacsha256: what the C SDKs send. */
export const C_SDK = {
  clientId:
    "a1EXAMPLE01.device1|timestamp=2524608000000,_v=sdk-c-3.0.1,securemode=2,signmethod=hmacsha256,lan=C,gw=0,ext=0|",
  username: "device1&a1EXAMPLE01",
  password: "1628AEC2CACB7913DCF9C794E5D99383701333332A01BA386D4753ADCBC20C92",
} as const;

export function cSdkRequest(overrides: Parameters<typeof connectRequest>[0] = {}): ConnectRequest {
  return connectRequest({ ...C_SDK, ...overrides });
}
