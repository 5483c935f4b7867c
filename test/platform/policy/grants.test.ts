import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Identity, SubscribeRequest } from "../../../src/access/policy.ts";
import {
  compileGrants,
  mayPublish,
  maySubscribe,
  SYSTEM_GRANTS,
} from "../../../src/platform/policy/grants.ts";
import {
  checkTopicClass,
  DEFAULT_CLASSES,
  type TopicClass,
} from "../../../src/platform/names/topic-classes.ts";
import { CLASSES, exampleRegistry, PK, platformPolicy } from "../devices.ts";

/** What products had before "user/" was introduced; whoever moves such a product here adds these. */
const OLDER_CLASSES: readonly TopicClass[] = [
  { suffix: "/update", permission: "PUB" },
  { suffix: "/update/error", permission: "PUB" },
  { suffix: "/get", permission: "SUB" },
];

const policy = platformPolicy();

function deviceIdentity(deviceName = "device1", productKey = PK): Identity {
  const username = `${deviceName}&${productKey}`;
  return {
    clientId: "x",
    username,
    sessionKey: `${productKey}/${deviceName}`,
    data: { productKey, deviceName },
  };
}
function subscribe(filter: string, options: Partial<SubscribeRequest> = {}, who = deviceIdentity()): number {
  const request = { filter, shareName: undefined, qos: 1, level: 5, ...options } as const;
  return policy.authorizeSubscribe(who, request) as number;
}
function publish(topic: string, who = deviceIdentity()): boolean {
  return (policy.authorizePublish(who, topic, 0, false) as { allow: boolean }).allow;
}

describe("topic decisions of device1", () => {
  it.each([
    ["[TOPIC-2]", "/pk/device1/user/update", true, false],
    ["[TOPIC-2]", "/pk/device1/user/get", false, true],
    ["[TOPIC-2]", "/pk/device1/user/both", true, true],
    ["[TOPIC-1]", "/pk/device2/user/update", false, false],
    ["[TOPIC-1]", "/pk/device2/user/get", false, false],
    ["[TOPIC-1]", "/otherpk/device1/user/update", false, false],
    ["[TOPIC-2]", "/pk/device1/user/unknown", false, false],
    ["[TOPIC-2]", "pk/device1/user/update", false, false],
    ["[TOPIC-7]", "/pk/device1/user/cfg/a/b", false, true],
    ["[TOPIC-7]", "/pk/device1/user/x/ack", false, true],
    ["[TOPIC-8]", "/sys/pk/device1/thing/event/property/post", true, true],
    ["[TOPIC-8]", "/sys/pk/device1/thing/event/property/pack/post", true, true],
    ["[TOPIC-8]", "/sys/pk/device1/rrpc/response/889455942124347392", true, false],
    ["[TOPIC-8]", "/ext/rrpc/889455942124347392/pk/device1/user/get", true, true],
    ["[TOPIC-8]", "/ext/rrpc/889455942124347392/sys/pk/device1/thing/service/x", true, true],
    ["[TOPIC-1]", "/ext/rrpc/889455942124347392/pk/device2/user/get", false, false],
    ["[TOPIC-1]", "/ext/rrpc/1/2/pk/device1/user/get", false, false],
    ["[TOPIC-9]", "/broadcast/pk/group1", false, true],
    ["[TOPIC-9]", "/broadcast/otherpk/group1", false, false],
    ["[TOPIC-8]", "/ext/ntp/pk/device1/request", true, false],
    ["[TOPIC-8]", "/ext/ntp/pk/device1/response", false, true],
    ["[TOPIC-8]", "/shadow/update/pk/device1", true, false],
    ["[TOPIC-8]", "/shadow/get/pk/device1", false, true],
    ["[TOPIC-8]", "/ota/device/inform/pk/device1", true, false],
    ["[TOPIC-8]", "/ota/device/request/pk/device1", true, false],
    ["[TOPIC-8]", "/ota/device/progress/pk/device1", true, false],
    ["[TOPIC-8]", "/ota/device/upgrade/pk/device1", false, true],
    ["[TOPIC-8]", "/ext/session/pk/device1/combine/login", true, false],
    ["[TOPIC-8]", "/ext/session/pk/device1/combine/batch_logout", true, false],
    ["[TOPIC-8]", "/ext/session/pk/device1/combine/login_reply", false, true],
    ["[TOPIC-8]", "/ext/session/pk/device1/combine/batch_logout_reply", false, true],
    ["[TOPIC-8]", "/ext/error/pk/device1", false, true],
    ["[TOPIC-1]", "/ext/error/pk/device2", false, false],
    ["STATUS-1", "/as/mqtt/status/pk/device1", false, false],
    ["push only", "/ext/register", false, false],
    ["push only", "/ext/regnwl", false, false],
    ["push only", "/ext/auth/identity/response", false, false],
    ["TOPIC-10 is off", "aaa/bbb", false, false],
    ["placeholders", "/sys/pk/{dn}/thing/x", false, false],
    ["placeholders", "/sys/{pk}/device1/thing/x", false, false],
  ])("%s %s", (_, topic, mayPub, maySub) => {
    const name = topic
      .replace(/\/pk\//, `/${PK}/`)
      .replace(/^pk\//, `${PK}/`)
      .replace(/\/pk$/, `/${PK}`);
    expect({ topic, publish: publish(name) }).toEqual({ topic, publish: mayPub });
    expect({ topic, subscribe: subscribe(name) < 0x80 }).toEqual({ topic, subscribe: maySub });
    expect(policy.authorizeDelivery(deviceIdentity(), name)).toBe(maySub || _ === "push only");
  });

  it.each([
    ["/pk/device1/user/cfg/#", true],
    ["/pk/device1/user/#", false],
    ["/pk/+/user/get", false],
    ["/+/device1/user/get", false],
    ["#", false],
    ["/#", false],
    ["+/+/#", false],
    ["/sys/pk/device1/thing/event/+/post_reply", true],
    ["/sys/pk/device1/thing/#", true],
    ["/sys/pk/device1/#", false],
    ["/sys/pk/+/thing/#", false],
    ["/sys/pk/device2/thing/#", false],
    ["/sys/pk/device1/rrpc/request/+", true],
    ["/sys/pk/device1/rrpc/#", false],
    ["/ext/rrpc/+/pk/device1/user/get", true],
    ["/ext/rrpc/+/pk/device2/user/get", false],
    ["/ext/rrpc/+/+/device1/user/get", false],
    ["/ext/rrpc/#", false],
    ["/sys/pk/device1/broadcast/request/+", true],
    ["/broadcast/pk/+", true],
    ["/broadcast/+/group1", false],
    ["$SYS/#", false],
    ["$share/group/x", false],
  ])("[TOPIC-7] filter %s", (filter, allowed) => {
    expect(subscribe(filter.replace("/pk/", `/${PK}/`))).toBe(allowed ? 1 : 0x87);
  });

  it("every filter the official Node SDK subscribes at sign-in", () => {
    const thing = [
      "event/property/post_reply",
      "service/property/set",
      "event/+/post_reply",
      "deviceinfo/update_reply",
    ];
    thing.push(
      "deviceinfo/delete_reply",
      "config/get_reply",
      "config/push",
      "config/push_reply",
      "sub/register_reply",
    );
    thing.push("topo/add_reply", "topo/delete_reply", "topo/get_reply");
    const filters = thing.map((name) => `/sys/${PK}/device1/thing/${name}`);
    filters.push(`/shadow/get/${PK}/device1`, `/sys/${PK}/device1/rrpc/request/+`);
    filters.push(
      `/ext/session/${PK}/device1/combine/login_reply`,
      `/ext/session/${PK}/device1/combine/logout_reply`,
    );
    for (const filter of filters) expect([filter, subscribe(filter)]).toEqual([filter, 1]);
  });
});

describe("[TOPIC-1] isolation", () => {
  const grants = compileGrants(PK, CLASSES, { broadcastPublish: false });
  const levels = fc.constantFrom(
    PK,
    "device1",
    "device2",
    "a1OTHER",
    "sys",
    "ext",
    "rrpc",
    "user",
    "thing",
    "get",
    "+",
    "#",
    "{dn}",
    "",
  );

  it("no grant of device1 admits a topic that does not carry its names, save broadcast", () => {
    fc.assert(
      fc.property(fc.array(levels, { minLength: 1, maxLength: 7 }), (parts) => {
        const name = `/${parts.join("/")}`;
        const own = name.includes(`/${PK}/device1`) || name.startsWith(`/broadcast/${PK}`);
        if (!own) {
          expect(mayPublish(grants, "device1", name)).toBe(false);
          expect(maySubscribe(grants, "device1", name)).toBe(false);
        }
      }),
      { numRuns: 5_000 },
    );
  });
  it("each system grant admits its own device and no other of the product", () => {
    for (const { topic, publish: p, subscribe: s } of SYSTEM_GRANTS) {
      const filter = topic.replace("{pk}", PK).replace("{dn}", "device1");
      if (s) expect([topic, maySubscribe(grants, "device1", filter)]).toEqual([topic, true]);
      if (topic.includes("{dn}"))
        expect([topic, maySubscribe(grants, "device2", filter)]).toEqual([topic, false]);
      const name = filter.replace(/[+#]/g, "x");
      expect([topic, mayPublish(grants, "device1", name)]).toEqual([topic, p]);
      expect([topic, mayPublish(grants, "device2", name)]).toEqual([topic, false]);
    }
  });
});

describe("[TOPIC-3] default classes", () => {
  it('grant what they name and nothing else, with "user/" and without', () => {
    const fresh = compileGrants("pk", DEFAULT_CLASSES, { broadcastPublish: false });
    expect(mayPublish(fresh, "devA", "/pk/devA/user/update/error")).toBe(true);
    expect(maySubscribe(fresh, "devA", "/pk/devA/user/get")).toBe(true);
    expect(mayPublish(fresh, "devA", "/pk/devA/update")).toBe(false);
    const old = compileGrants("pk", OLDER_CLASSES, { broadcastPublish: false });
    expect(mayPublish(old, "devA", "/pk/devA/update")).toBe(true);
    expect(maySubscribe(old, "devA", "/pk/devA/get")).toBe(true);
    expect(maySubscribe(old, "devA", "/pk/devA/user/get")).toBe(false);
  });
  it("a product without classes of its own gets them", () => {
    expect(exampleRegistry().findProduct("pk")?.topicClasses).toBe(DEFAULT_CLASSES);
  });
});

describe("[TOPIC-2] [TOPIC-7] form of a class", () => {
  it.each([
    ...DEFAULT_CLASSES,
    ...OLDER_CLASSES,
    { suffix: "/user/+/ack", permission: "SUB" },
    { suffix: "/user/#", permission: "SUB" },
    { suffix: "/user/a_1", permission: "ALL" },
    { suffix: "/user/a/b/c/d", permission: "PUB" }, // [TOPIC-6]
    { suffix: `/user/${"x".repeat(115)}`, permission: "PUB" }, // [TOPIC-5]
  ] as const)("takes $suffix $permission", (topicClass) => {
    expect(checkTopicClass(topicClass)).toBeUndefined();
  });
  it.each([
    { suffix: "user/get", permission: "SUB" },
    { suffix: "/user//get", permission: "SUB" },
    { suffix: "/user/", permission: "SUB" },
    { suffix: "/user/a-b", permission: "SUB" },
    { suffix: "/user/#/x", permission: "SUB" },
    { suffix: "/user/x#", permission: "SUB" },
    { suffix: "/user/+", permission: "ALL" },
    { suffix: "/user/#", permission: "PUB" },
    { suffix: "/user/{dn}", permission: "SUB" },
    { suffix: "/user/a/b/c/d/e", permission: "PUB" }, // [TOPIC-6]
    { suffix: `/user/${"x".repeat(116)}`, permission: "PUB" }, // [TOPIC-5]
    { suffix: "/user/get", permission: "READ" as "SUB" },
  ] as const)("refuses $suffix $permission", (topicClass) => {
    expect(checkTopicClass(topicClass)).toBeTypeOf("string");
  });
});

describe("policy answers", () => {
  it("[QOS-1] [QOS-2] SUBACK holds min(requested, 1)", () => {
    for (const level of [3, 4, 5] as const) {
      expect(
        [0, 1, 2].map((qos) => subscribe(`/${PK}/device1/user/get`, { qos: qos as 0 | 1 | 2, level })),
      ).toEqual([0, 1, 1]);
    }
  });
  it("[V5-10] share names, in 5.0 only", () => {
    const filter = `/${PK}/device1/user/get`;
    expect(subscribe(filter, { shareName: "g_1" })).toBe(1);
    expect(subscribe(filter, { shareName: "g-1" })).toBe(0x8f);
    expect(subscribe(filter, { shareName: "" })).toBe(0x8f);
    expect(subscribe("", { shareName: "g_1" })).toBe(0x8f);
    expect(subscribe(filter, { shareName: "g_1", level: 4 })).toBe(0x87);
    expect(subscribe("user/post", { shareName: "testGroup" })).toBe(0x87);
  });
  it("a change of classes holds at once and voids cached verdicts", async () => {
    const registry = exampleRegistry();
    const changing = platformPolicy({ registry });
    const topic = `/${PK}/device1/user/new`;
    const before = changing.generation;
    expect(changing.authorizePublish(deviceIdentity(), topic, 0, false)).toEqual({
      allow: false,
      reason: 0x87,
    });
    const topicClasses = [{ suffix: "/user/new", permission: "PUB" }] as const;
    registry.putProduct({ productKey: PK, productSecret: "s", topicClasses });
    expect(changing.generation).toBeGreaterThan(before);
    expect(changing.authorizePublish(deviceIdentity(), topic, 0, false)).toEqual({ allow: true });
    await registry.deleteProduct(PK, { withDevices: true });
    expect(changing.authorizePublish(deviceIdentity(), topic, 0, false)).toEqual({
      allow: false,
      reason: 0x87,
    });
    expect(changing.authorizeDelivery(deviceIdentity(), `/sys/${PK}/device1/thing/x`)).toBe(false);
  });
  it("[TOPIC-9] device publish on broadcast topics is an option", () => {
    const open = platformPolicy({ settings: { broadcast: { devicePublish: true } } });
    expect(open.authorizePublish(deviceIdentity(), `/broadcast/${PK}/g`, 0, false)).toEqual({ allow: true });
    expect(open.authorizePublish(deviceIdentity(), "/broadcast/pk/g", 0, false)).toEqual({
      allow: false,
      reason: 0x87,
    });
  });
});
