// A CONNECT refused for a property of its own or of its Will: CONNACK and log name the property and what it broke.
import { beforeEach, describe, expect, test } from "vitest";
import { openPolicy } from "../../support/policy.ts";
import { unique, useServer } from "../../support/server.ts";
import type { Properties } from "../../support/wire.ts";

/** `reason` and `detail` of the lines about refusals. */
let told: { reason: number; detail: string }[] = [];
const note = (fields: object): void => void told.push(fields as { reason: number; detail: string });
const server = useServer({
  profile: openPolicy({
    capabilities: { maximumQos: 1, retain5: false },
    override: {
      authorizePublish: (_identity, topic) =>
        topic === "w"
          ? { allow: true }
          : topic === "words"
            ? { allow: false, reason: 0x97, reasonString: "Enough for today" }
            : { allow: false },
    },
  }),
  limits: { propertiesPerPacket: 3 },
  logger: { debug() {}, info: note, warn: note, error: note },
});
beforeEach(() => {
  told = [];
});

const SIZE = Buffer.from([0x27, 0, 0, 1, 0]);
const PAIR = Buffer.from([0x26, 0, 1, 0x61, 0, 1, 0x62]);
const cases: [what: string, properties: Buffer, reason: number, words: string][] = [
  ["unknown", Buffer.from([0x7f, 0]), 0x81, "unknown property: 127 in WHERE"],
  [
    "of another packet",
    Buffer.concat([PAIR, Buffer.from([0x23, 0, 1])]),
    0x81,
    "property that cannot stand in this packet: Topic Alias in WHERE",
  ],
  [
    "one too many",
    Buffer.concat([PAIR, PAIR, PAIR, PAIR]),
    0x97,
    "too many properties: more than 3 in WHERE",
  ],
  [
    "cut off",
    Buffer.from([0x26, 0, 9]),
    0x81,
    "property reaches past the Property Length: User Properties in WHERE",
  ],
  [
    "ill-formed",
    Buffer.from([0x26, 0, 1, 0x61, 0, 1, 0xff]),
    0x81,
    "ill-formed UTF-8: User Properties in WHERE",
  ],
];
const ofConnect: typeof cases = [
  [
    "zero",
    Buffer.concat([SIZE, Buffer.from([0x21, 0, 0])]),
    0x82,
    "property value out of its range: Receive Maximum in CONNECT, which is not 0",
  ],
  [
    "no flag",
    Buffer.from([0x19, 2]),
    0x82,
    "property value out of its range: Request Response Information in CONNECT, which is 0 or 1",
  ],
  ["twice", Buffer.concat([SIZE, SIZE]), 0x82, "property more than once: Maximum Packet Size in CONNECT"],
];
const ofWill: typeof cases = [
  [
    "no flag",
    Buffer.from([0x01, 2]),
    0x82,
    "property value out of its range: Payload Format Indicator in the Will, which is 0 or 1",
  ],
  [
    "a topic with a wildcard",
    Buffer.from([0x08, 0, 1, 0x23]),
    0x82,
    "Response Topic empty or with a wildcard: Response Topic in the Will",
  ],
  [
    "twice",
    Buffer.from([0x18, 0, 0, 0, 1, 0x18, 0, 0, 0, 1]),
    0x82,
    "property more than once: Will Delay Interval in the Will",
  ],
];

async function refusalOf(options: object): Promise<{ reason: number; properties?: Properties } | undefined> {
  const client = await server.open(5);
  client.send(client.wire.connect({ clientId: unique(), ...options }));
  const packets = await client.closed();
  expect(packets).toHaveLength(1);
  return packets[0] as { reason: number; properties?: Properties };
}

describe("MQTT 5.0", () => {
  test.each([...cases, ...ofConnect])(
    "a property of CONNECT: %s",
    async (_what, properties, reason, words) => {
      const reasonString = words.replace("WHERE", "CONNECT");
      expect(await refusalOf({ properties })).toMatchObject({ reason, properties: { reasonString } });
      expect(told).toMatchObject([{ reason, detail: reasonString }]);
    },
  );

  test.each([...cases, ...ofWill])("a property of the Will: %s", async (_what, properties, reason, words) => {
    const reasonString = words.replace("WHERE", "the Will");
    // Behind properties of the CONNECT and a Client Identifier.
    const will = { topic: "w", properties };
    expect(await refusalOf({ properties: PAIR, will })).toMatchObject({
      reason,
      properties: { reasonString },
    });
    expect(told).toMatchObject([{ reason, detail: reasonString }]);
  });

  test.each([
    ["QoS", { topic: "w", qos: 2 }, 0x9b, "Will QoS 2 is above the Maximum QoS 1"],
    ["Retain", { topic: "w", retain: true }, 0x9a, "Will Retain: RETAIN is not available"],
    ["Topic", { topic: "other" }, 0x87, "Will Topic: not authorized"],
    ["Topic, in the policy's words", { topic: "words" }, 0x97, "Will Topic: Enough for today"],
  ])("the Will's %s", async (_what, will, reason, reasonString) => {
    expect(await refusalOf({ will })).toMatchObject({ reason, properties: { reasonString } });
    expect(told).toMatchObject([{ reason, detail: reasonString }]);
  });

  test("what is no property is said as well, and every cut of a CONNECT is answered somehow", async () => {
    expect(await refusalOf({ flipFlags: 1 })).toMatchObject({
      reason: 0x81,
      properties: { reasonString: "reserved connect flag" },
    });
    const client = await server.open(5);
    const will = { topic: "w", properties: PAIR };
    const whole = client.wire.connect({ clientId: "cut", properties: PAIR, will, username: "u" });
    for (let length = 2; length < whole.length; length++) {
      const cut = Buffer.from(whole.subarray(0, length));
      cut[1] = length - 2;
      const other = await server.open(5);
      other.send(cut);
      for (const packet of await other.closed()) expect(packet).toMatchObject({ type: "connack" });
    }
    expect(server.broker.metrics()["errors.internal"]).toBe(0);
    await client.connect({ clientId: "still there" });
  });

  test("words that the client's Maximum Packet Size leaves no room for are left out [MQTT-3.2.2-19]", async () => {
    const zero = Buffer.from([0x21, 0, 0]);
    const full = 5 + 3 + "property value out of its range: Receive Maximum in CONNECT, which is not 0".length;
    for (const [size, expected] of [
      [full, true],
      [full - 1, false],
    ] as const) {
      const properties = Buffer.concat([Buffer.from([0x27, 0, 0, 0, size]), zero]);
      const { properties: said } = (await refusalOf({ properties })) ?? {};
      expect(said?.reasonString !== undefined, `${size} bytes`).toBe(expected);
    }
  });
});
