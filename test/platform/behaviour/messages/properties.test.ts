// What MQTT 5.0 properties may hold and what becomes of them, as a device meets it on a socket; 3.1.1 where it differs.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../../support/raw-client.ts";
import { BOTH, useServer } from "../../../support/server.ts";
import type { Properties } from "../../../support/wire.ts";
import { connectDevice, deviceConnect, ownTopic, registryOf, useDevices } from "../../signed-device.ts";

/** `detail` of the lines about refused CONNECTs. */
let refused: string[] = [];
const info = (fields: object, message: string): void => {
  if (message === "connect refused") refused.push((fields as { detail: string }).detail);
};
const { server, nextName } = useDevices("props", 60, {
  logger: { debug() {}, info, warn() {}, error() {} },
  limits: { logLines: 1_000 },
});
const pairs = (count: number, key = "k"): [string, string][] =>
  Array.from({ length: count }, (_, i) => [`${key}${i}`, "v"]);

/** What the PUBACK says of a property that is beyond its bounds. */
const WORDS = {
  pairs: "Too many User Properties",
  name: 'The name of a User Property begins with "_"',
  pair: "Name and value of a User Property are too long",
  response: "The Response Topic is too long",
  correlation: "The Correlation Data is too long",
} as const;

/** Reason of the PUBACK; 0x10 says only that nobody listens. */
async function puback(device: RawClient, topic: string, properties: Properties): Promise<number> {
  const { reason = 0 } = (await device.publish(topic, "x", { qos: 1, properties })) ?? {};
  return reason === 0x10 ? 0 : reason;
}

describe("[V5-7] User Properties", () => {
  test.each<[string, [string, string][], number]>([
    ["20 of them", pairs(20), 0],
    ["21 of them", pairs(21), 0x97],
    ["128 characters together", [["k".repeat(64), "v".repeat(64)]], 0],
    ["one more in the name", [["k".repeat(65), "v".repeat(64)]], 0x83],
    ["one more in the value", [["k".repeat(64), "v".repeat(65)]], 0x83],
    ["128 code points of four bytes", [["😀".repeat(64), "😀".repeat(64)]], 0],
    ["129 code points", [["😀".repeat(64), "é".repeat(65)]], 0x83],
    ["a name of 128 characters", [["k".repeat(128), ""]], 0],
    ["a name that begins with an underscore", [["_a", "v"]], 0x83],
    ["one that ends with it", [["a_", "v"]], 0],
  ])("%s in PUBLISH, CONNECT and Will", async (_what, userProperty, reason) => {
    const deviceName = nextName();
    const device = await connectDevice(server, 5, deviceName);
    expect(await puback(device, ownTopic(deviceName), { userProperty })).toBe(reason);
    await device.subscribe(ownTopic(deviceName));
    await device.publish(ownTopic(deviceName), "QoS 0", { properties: { userProperty } });
    if (reason === 0) expect((await device.receive()).properties.userProperty).toEqual(userProperty);
    else await device.expectNothing();
    await device.disconnect();
    const will = { topic: ownTopic(deviceName), payload: "", qos: 0 as const };
    for (const options of [
      { properties: { userProperty } },
      { will: { ...will, properties: { userProperty } } },
    ]) {
      const again = await server.open(5);
      again.send(again.wire.connect(deviceConnect(deviceName, options)));
      expect((await again.next("connack")).reason).toBe(reason);
      again.destroy();
    }
  });

  test("are forwarded in order, to 3.1.1 subscribers not at all [V5-15]", async () => {
    const deviceName = nextName();
    const userProperty: [string, string][] = [
      ["b", "2"],
      ["a", "1"],
      ["b", "3"],
    ];
    for (const [, version] of BOTH) {
      const device = await connectDevice(server, version, deviceName);
      await device.subscribe(ownTopic(deviceName));
      await server.broker.publish({
        topic: ownTopic(deviceName),
        payload: "x",
        properties: { userProperties: userProperty, contentType: "text", payloadFormatIndicator: 1 },
      });
      const { properties, text } = await device.receive();
      expect(text).toBe("x");
      expect(properties).toEqual(
        version === 5 ? { userProperty, contentType: "text", payloadFormatIndicator: 1 } : {},
      );
    }
  });
});

describe("[V5-7] [V5-8] [V5-13] the words of a refusal", () => {
  const cases: [string, Properties, number][] = [
    [WORDS.pairs, { userProperty: pairs(21) }, 0x97],
    [WORDS.name, { userProperty: [["_a", "v"]] }, 0x83],
    [WORDS.pair, { userProperty: [["k".repeat(129), ""]] }, 0x83],
    [WORDS.response, { responseTopic: "r".repeat(129) }, 0x83],
    [WORDS.correlation, { correlationData: Buffer.alloc(129) }, 0x83],
  ];

  test("name the property to a client that wants problem information, and to no other", async () => {
    const deviceName = nextName();
    const topic = ownTopic(deviceName);
    const device = await connectDevice(server, 5, deviceName);
    for (const [reasonString, properties, reason] of cases) {
      // The words are those of this message alone, also behind one of QoS 0.
      await device.publish(topic, "x", { properties });
      const answer = await device.publish(topic, "x", { qos: 1, properties });
      expect(answer).toMatchObject({ reason, properties: { reasonString } });
      const other = await device.publish("/sys/not/yours", "x", { qos: 1 });
      expect(other?.reason).toBe(0x87);
      expect(other?.properties?.reasonString).not.toBe(reasonString);
    }
    await device.disconnect();
    const quiet = await connectDevice(server, 5, deviceName, {
      properties: { requestProblemInformation: 0 },
    });
    for (const [, properties, reason] of cases)
      expect(await quiet.publish(topic, "x", { qos: 1, properties })).toMatchObject({
        reason,
        properties: {},
      });
    // Too long for a client that takes no packet of that length.
    await quiet.disconnect();
    const small = await connectDevice(server, 5, deviceName, { properties: { maximumPacketSize: 30 } });
    const answer = await small.publish(topic, "x", {
      qos: 1,
      properties: { responseTopic: "r".repeat(129) },
    });
    expect(answer).toMatchObject({ reason: 0x83, properties: {} });
  });
});

describe("[V5-7] [V5-8] a refused CONNECT", () => {
  const cases: [string, Properties, number, string][] = [
    ["too many pairs", { userProperty: pairs(21) }, 0x97, "User Properties of WHOM: 21 are more than 20"],
    [
      "a name with an underscore",
      {
        userProperty: [
          ["a", "b"],
          ["_a", "b"],
        ],
      },
      0x83,
      'User Property 2 of WHOM: the key "_a" begins with "_"',
    ],
    [
      "a long name with one",
      { userProperty: [[`_${"\u{1F600}".repeat(500)}`, ""]] },
      0x83,
      `User Property 1 of WHOM: the key "_${"\u{1F600}".repeat(15)}\\ud83d…" begins with "_"`,
    ],
    [
      "a long pair",
      { userProperty: [["k", "v".repeat(128)]] },
      0x83,
      "User Property 1 of WHOM: key and value have 129 characters, more than 128",
    ],
  ];
  const ofWill: typeof cases = [
    [
      "a Response Topic",
      { responseTopic: "r".repeat(129) },
      0x83,
      "Response Topic of WHOM: 129 characters are more than 128",
    ],
    [
      "Correlation Data",
      { correlationData: Buffer.alloc(129) },
      0x83,
      "Correlation Data of WHOM: 129 bytes are more than 128",
    ],
  ];

  test.each([
    ...cases.map((one) => [...one, "CONNECT"] as const),
    ...[...cases, ...ofWill].map((one) => [...one, "the Will"] as const),
  ])(
    "%s: CONNACK and log name the property and its bound",
    async (_what, properties, reason, words, whom) => {
      const deviceName = nextName();
      const reasonString = words.replace("WHOM", whom);
      refused = [];
      const will = { topic: ownTopic(deviceName), payload: "", qos: 0 as const, properties };
      const device = await server.open(5);
      device.send(
        device.wire.connect(deviceConnect(deviceName, whom === "CONNECT" ? { properties } : { will })),
      );
      expect(await device.next("connack")).toMatchObject({ reason, properties: { reasonString } });
      expect(refused).toEqual([reasonString]);
    },
  );
});

describe("[V5-8] request and response", () => {
  test.each<[string, Properties, number]>([
    ["a Response Topic of 128 characters", { responseTopic: "r".repeat(128) }, 0],
    ["one of 128 characters of two bytes", { responseTopic: "é".repeat(128) }, 0],
    ["one of 129", { responseTopic: "r".repeat(129) }, 0x83],
    ["Correlation Data of 128 bytes", { correlationData: Buffer.alloc(128) }, 0],
    ["one of 129", { correlationData: Buffer.alloc(129) }, 0x83],
  ])("%s", async (_what, properties, reason) => {
    const deviceName = nextName();
    const device = await connectDevice(server, 5, deviceName);
    expect(await puback(device, ownTopic(deviceName), properties)).toBe(reason);
    const again = await server.open(5);
    const will = { topic: ownTopic(deviceName), payload: "", qos: 0 as const, properties };
    again.send(again.wire.connect(deviceConnect(deviceName, { will })));
    expect((await again.next("connack")).reason).toBe(reason);
  });

  test("a wildcard in a Response Topic ends the connection", async () => {
    const device = await connectDevice(server, 5, nextName());
    device.send(device.wire.publish(ownTopic("x"), "x", { properties: { responseTopic: "a/+" } }));
    await device.expectEnd(0x82);
  });
});

describe("[V5-9] topic aliases", () => {
  test("20 in either direction, and no more", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, 5, deviceName, { properties: { topicAliasMaximum: 30 } });
    expect(device.connack.properties.topicAliasMaximum).toBe(20);
    await device.subscribe(ownTopic(deviceName));
    device.send(device.wire.publish(ownTopic(deviceName), "1", { properties: { topicAlias: 20 } }));
    device.send(device.wire.publish("", "2", { properties: { topicAlias: 20 } }));
    const first = await device.receive();
    expect(first).toMatchObject({ topic: ownTopic(deviceName), text: "1" });
    const second = await device.receive();
    expect(second).toMatchObject({ topic: "", text: "2" });
    expect(second.properties.topicAlias).toBe(first.properties.topicAlias);
    const ours = new Set<unknown>();
    await device.subscribe(ownTopic(deviceName, "cfg/#"));
    for (let i = 0; i < 25; i++) {
      await server.broker.publish({ topic: ownTopic(deviceName, `cfg/${i}`), payload: String(i) });
      const { topic, text, properties } = await device.receive();
      expect([topic, text]).toEqual([ownTopic(deviceName, `cfg/${i}`), String(i)]);
      if (properties.topicAlias !== undefined) ours.add(properties.topicAlias);
    }
    // The first topic has one of them.
    expect([...ours].sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 19 }, (_, i) => i + 2),
    );
  });

  test.each([
    ["alias 0", "t", 0],
    ["alias 21", "t", 21],
    ["an empty topic with an alias that is not known", "", 3],
  ])("%s ends the connection with 0x94", async (_what, name, topicAlias) => {
    const deviceName = nextName();
    const device = await connectDevice(server, 5, deviceName);
    const topic = name === "" ? "" : ownTopic(deviceName);
    device.send(device.wire.publish(topic, "x", { properties: { topicAlias } }));
    await device.expectEnd(0x94);
  });

  test("none towards a device that announces none", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, 5, deviceName);
    await device.subscribe(ownTopic(deviceName));
    for (const text of ["1", "2"]) {
      await server.broker.publish({ topic: ownTopic(deviceName), payload: text });
      expect(await device.receive()).toMatchObject({ topic: ownTopic(deviceName), properties: {} });
    }
  });
});

test("[V5-11] a Subscription Identifier ends the connection with 0xA1", async () => {
  const deviceName = nextName();
  const device = await connectDevice(server, 5, deviceName);
  device.send(device.wire.subscribe(1, ownTopic(deviceName), { subscriptionIdentifier: 1 }));
  await device.expectEnd(0xa1);
});

test("[V5-13] a DISCONNECT of the server has a Reason String, unless the device wants none", async () => {
  for (const requestProblemInformation of [undefined, 0]) {
    const deviceName = nextName();
    const device = await connectDevice(
      server,
      5,
      deviceName,
      requestProblemInformation === undefined ? {} : { properties: { requestProblemInformation } },
    );
    const suback = await device.subscribe("no/permission");
    expect(suback.reasons).toEqual([0x87]);
    const puback = await device.publish("no/permission", "x", { qos: 1 });
    expect(puback?.reason).toBe(0x87);
    device.send(device.wire.publish(ownTopic(deviceName), "x", { qos: 2, id: 1 }));
    const goodbye = await device.expectEnd(0x9b);
    const reasonStrings = [suback, goodbye].map((packet) => packet?.properties.reasonString);
    const wanted = requestProblemInformation === 0 ? undefined : expect.any(String);
    expect(reasonStrings).toEqual([wanted, wanted]);
  }
});

describe("[V5-14] Maximum Packet Size of the device", () => {
  test("what would exceed it is not sent, and counts as delivered", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, 5, deviceName, { properties: { maximumPacketSize: 200 } });
    await device.subscribe({ filter: ownTopic(deviceName), qos: 1 });
    await server.broker.publish({ topic: ownTopic(deviceName), payload: "x".repeat(300), qos: 1 });
    await server.broker.publish({ topic: ownTopic(deviceName), payload: "small", qos: 1 });
    expect(await device.receive()).toMatchObject({ text: "small" });
    await device.expectNothing();
  });

  test.each([["maximumPacketSize"], ["receiveMaximum"]] as const)(
    "[V5-16] %s 0 is refused with 0x82",
    async (name) => {
      const device = await server.open(5);
      device.send(device.wire.connect(deviceConnect(nextName(), { properties: { [name]: 0 } })));
      await device.expectRefusal(undefined, 0x82);
    },
  );
});

describe("[V5-16] Receive Maximum of the device", () => {
  test.each([
    [3, 3],
    [undefined, 100],
  ])("%s: %i messages are unacknowledged, the others wait in order", async (receiveMaximum, expected) => {
    const deviceName = nextName();
    const device = await connectDevice(
      server,
      5,
      deviceName,
      receiveMaximum === undefined ? {} : { properties: { receiveMaximum } },
    );
    await device.subscribe({ filter: ownTopic(deviceName), qos: 1 });
    for (let i = 0; i < expected + 2; i++)
      await server.broker.publish({ topic: ownTopic(deviceName), payload: String(i), qos: 1 });
    const first = await device.next("publish");
    for (let i = 1; i < expected; i++) expect((await device.next("publish")).text).toBe(String(i));
    await device.expectNothing();
    await device.acknowledge(first);
    expect((await device.next("publish")).text).toBe(String(expected));
    await device.expectNothing();
  });
});

describe("[V5-12] Payload Format Indicator", () => {
  const strict = useServer({
    profile: "platform",
    devices: registryOf("strict1"),
    platform: { v5: { validateUtf8: true } },
  });
  const broken = Buffer.from([0xff, 0xfe]);

  test("is forwarded as it is, with the Content Type, and not looked at", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, 5, deviceName);
    await device.subscribe(ownTopic(deviceName));
    const properties = { payloadFormatIndicator: 1, contentType: "text/plain" };
    await device.publish(ownTopic(deviceName), broken, { qos: 1, properties });
    expect((await device.receive()).properties).toEqual(properties);
  });

  test("with validateUtf8 it is, and 0x99 says so", async () => {
    const device = await connectDevice(strict, 5, "strict1");
    const properties = { payloadFormatIndicator: 1 };
    expect((await device.publish(ownTopic("strict1"), broken, { qos: 1, properties }))?.reason).toBe(0x99);
  });
});
