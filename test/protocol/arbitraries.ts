// Arbitrary right packets of every kind and version, for property tests.
import fc from "fast-check";
import type { Packet } from "../../src/protocol/packet.ts";
import type { ProtocolLevel, Qos } from "../../src/protocol/packet-types.ts";
import { PROPERTIES, type Properties, type PropertyPlace } from "../../src/protocol/properties.ts";
import { REASONS } from "../../src/protocol/reason-codes.ts";

const text = fc.string({ unit: "binary", maxLength: 40 }).map((value) => value.replaceAll("\0", "0"));
const binary = fc.uint8Array({ maxLength: 300 });
const level = fc.oneof(
  fc.constantFrom("", "a", "$SYS", "设备", "😀", "user", " "),
  text.map((value) => value.replaceAll(/[+#/]/g, "-")),
);
const topic = fc
  .array(level, { minLength: 1, maxLength: 12 })
  .map((levels) => levels.join("/"))
  .map((value) => (value === "" ? "/" : value));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { maxLength: 8 }), fc.boolean())
  .map(([levels, all]) => [...levels, all ? "#" : "a"].join("/"));
const shared = fc
  .tuple(fc.constantFrom("g", "组", "long-name"), filter)
  .map(([name, of]) => `$share/${name}/${of}`);
const id = fc.integer({ min: 1, max: 65535 });
const qos = fc.constantFrom<Qos>(0, 1, 2);
const pair = fc.tuple(text, text);

function drawValue(type: string, rule: string | undefined): fc.Arbitrary<unknown> {
  const min = rule === "notZero" ? 1 : 0;
  switch (type) {
    case "byte":
      return fc.integer({ min, max: rule === "flag" ? 1 : 255 });
    case "u16":
      return fc.integer({ min, max: 0xffff });
    case "u32":
      return fc.integer({ min, max: 0xffff_ffff });
    case "string":
      return rule === "topic" ? topic : text;
    case "binary":
      return binary;
    default:
      return fc.array(pair, { minLength: 1, maxLength: 5 });
  }
}

/** Undefined, or an object with at least one property that may stand there. */
export function properties(place: PropertyPlace): fc.Arbitrary<Properties | undefined> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const { name, type, rule, places } of PROPERTIES) {
    if (!places.includes(place)) continue;
    fields[name] =
      type === "varint"
        ? fc.array(fc.integer({ min: 1, max: 268_435_455 }), {
            minLength: 1,
            maxLength: place === "publish" ? 4 : 1,
          })
        : drawValue(type, rule);
  }
  const record = fc.record(fields, { requiredKeys: [] }) as fc.Arbitrary<Properties>;
  return fc.oneof(fc.constant(undefined), record).map((some) => {
    if (some === undefined || Object.keys(some).length === 0) return undefined;
    if (some.authenticationData !== undefined) some.authenticationMethod ??= "method";
    return some;
  });
}

/** A packet with properties where they are allowed and drawn; before 5.0 without. */
function having<P>(version: ProtocolLevel, place: PropertyPlace, rest: fc.Arbitrary<P>): fc.Arbitrary<P> {
  if (version < 5) return rest;
  return fc
    .tuple(rest, properties(place))
    .map(([packet, some]) => (some === undefined ? packet : { ...packet, properties: some }));
}

function reasonsOf(place: string): fc.Arbitrary<number> {
  return fc.constantFrom(
    ...REASONS.filter(({ packets }) => (packets as string[]).includes(place)).map(({ code }) => code),
  );
}

/** Any right packet of this version. */
export function packetOf(version: ProtocolLevel): fc.Arbitrary<Packet> {
  const v5 = version === 5;
  const will = having(version, "will", fc.record({ topic, payload: binary, qos, retain: fc.boolean() }));
  const connect = having(
    version,
    "connect",
    fc.record(
      {
        type: fc.constant("connect" as const),
        level: fc.constant(version),
        clientId: text,
        cleanStart: fc.boolean(),
        keepAlive: fc.integer({ min: 0, max: 65535 }),
        username: text,
        password: binary,
        will,
      },
      { requiredKeys: ["type", "level", "clientId", "cleanStart", "keepAlive"] },
    ),
  ).map((packet) => {
    if (!v5 && packet.password !== undefined) packet.username ??= "user";
    return packet;
  });
  const connack = having(
    version,
    "connack",
    fc
      .record({
        type: fc.constant("connack" as const),
        sessionPresent: fc.boolean(),
        reasonCode: v5 ? reasonsOf("connack") : fc.integer({ min: 0, max: 5 }),
      })
      .map((packet) => ({
        ...packet,
        sessionPresent: packet.sessionPresent && packet.reasonCode === 0 && version > 3,
      })),
  );
  const publish = having(
    version,
    "publish",
    fc
      .record({
        type: fc.constant("publish" as const),
        topic,
        payload: binary,
        qos,
        retain: fc.boolean(),
        dup: fc.boolean(),
        packetId: id,
      })
      .map((packet) => ({
        ...packet,
        packetId: packet.qos === 0 ? 0 : packet.packetId,
        dup: packet.qos > 0 && packet.dup,
      })),
  );
  const acks = (["puback", "pubrec", "pubrel", "pubcomp"] as const).map((type) =>
    having(
      version,
      type,
      fc.record({ type: fc.constant(type), packetId: id, reasonCode: v5 ? reasonsOf(type) : fc.constant(0) }),
    ),
  );
  const subscription = fc
    .record({
      filter: fc.oneof(filter, shared),
      qos,
      noLocal: fc.boolean(),
      retainAsPublished: fc.boolean(),
      retainHandling: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
    })
    .map((options) =>
      v5
        ? { ...options, noLocal: options.noLocal && !options.filter.startsWith("$share/") }
        : { ...options, noLocal: false, retainAsPublished: false, retainHandling: 0 as const },
    );
  const subscribe = having(
    version,
    "subscribe",
    fc.record({
      type: fc.constant("subscribe" as const),
      packetId: id,
      subscriptions: fc.array(subscription, { minLength: 1, maxLength: 10 }),
    }),
  );
  const unsubscribe = having(
    version,
    "unsubscribe",
    fc.record({
      type: fc.constant("unsubscribe" as const),
      packetId: id,
      filters: fc.array(fc.oneof(filter, shared), { minLength: 1, maxLength: 10 }),
    }),
  );
  const granted = version === 3 ? [0, 1, 2] : [0, 1, 2, 0x80];
  const suback = having(
    version,
    "suback",
    fc.record({
      type: fc.constant("suback" as const),
      packetId: id,
      reasonCodes: fc.array(v5 ? reasonsOf("suback") : fc.constantFrom(...granted), { minLength: 1 }),
    }),
  );
  const unsuback = having(
    version,
    "unsuback",
    fc.record({
      type: fc.constant("unsuback" as const),
      packetId: id,
      reasonCodes: v5 ? fc.array(reasonsOf("unsuback"), { minLength: 1 }) : fc.constant([] as number[]),
    }),
  );
  const ping = fc.record({ type: fc.constantFrom("pingreq" as const, "pingresp" as const) });
  const disconnect = having(
    version,
    "disconnect",
    fc.record({
      type: fc.constant("disconnect" as const),
      reasonCode: v5 ? reasonsOf("disconnect") : fc.constant(0),
    }),
  );
  const auth = having(
    version,
    "auth",
    fc.record({ type: fc.constant("auth" as const), reasonCode: reasonsOf("auth") }),
  ).map((packet: { type: "auth"; reasonCode: number; properties?: Properties }) => ({
    ...packet,
    properties: {
      ...packet.properties,
      authenticationMethod: packet.properties?.authenticationMethod ?? "m",
    },
  }));
  const all: fc.Arbitrary<Packet>[] = [
    connect,
    connack,
    publish,
    ...acks,
    subscribe,
    unsubscribe,
    suback,
    unsuback,
    ping,
    disconnect,
  ];
  if (v5) all.push(auth);
  return fc.oneof(...all);
}
