// mqtt-packet as an oracle: its own test vectors, and packets made by one side for the other.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { compileFunction } from "node:vm";
import fc from "fast-check";
import mqtt from "mqtt-packet";
import { describe, expect, it } from "vitest";
import type { Packet } from "../../src/protocol/packet.ts";
import { encodePacket } from "../../src/protocol/packet-encoder.ts";
import type { ProtocolLevel } from "../../src/protocol/packet-types.ts";
import { cores } from "../assembly/support.ts";
import { packetOf } from "./arbitraries.ts";

interface Vector {
  kind: string;
  name: string;
  buffer: Uint8Array;
  level: ProtocolLevel;
}

const LARGEST = 65536; // one vector is a packet of 256 MiB

/** The vectors of mqtt-packet's test file, collected by running it with its helpers replaced. */
function loadVectors(): Vector[] {
  const require = createRequire(import.meta.url);
  const file = require.resolve("mqtt-packet/test.js");
  const helpers = /function (testParse\w+) \(/g;
  const source = readFileSync(file, "utf8");
  const names = [...source.matchAll(helpers)].map(([, name]) => name);
  const replaced = names.map((name) => `const ${name} = (...args) => record("${name}", args);`).join("\n");
  const vectors: Vector[] = [];
  const record = (kind: string, args: unknown[]) => {
    const object = (kind === "testParseError" ? {} : args[1]) as { protocolVersion?: number };
    const options = args.findLast(
      (arg) => typeof arg === "object" && (arg as { protocolVersion?: number })?.protocolVersion,
    );
    const version =
      object.protocolVersion ?? (options as { protocolVersion?: number } | undefined)?.protocolVersion ?? 4;
    const buffer = args.find((arg) => arg instanceof Uint8Array) as Uint8Array;
    if (buffer.length > LARGEST) return;
    vectors.push({
      kind,
      name: args[0] as string,
      buffer: Uint8Array.from(buffer),
      level: (version & 7) as ProtocolLevel,
    });
  };
  const stub = (name: string) => {
    if (name === "tape") return () => undefined;
    if (name === "readable-stream") return { Writable: class {} };
    return name === "./" ? mqtt : require(name);
  };
  compileFunction(`${replaced}\n${source.replaceAll(helpers, "function _$1 (")}`, ["require", "record"])(
    stub,
    record,
  );
  return vectors;
}

/** The same packet as mqtt-packet wants it. */
function theirs(packet: Packet, level: ProtocolLevel): mqtt.Packet {
  const properties =
    "properties" in packet && packet.properties ? theirProperties(packet.properties) : undefined;
  const common = { cmd: packet.type, properties };
  switch (packet.type) {
    case "connect": {
      const { will, username, password } = packet;
      return {
        ...common,
        protocolId: level === 3 ? "MQIsdp" : "MQTT",
        protocolVersion: level,
        clientId: packet.clientId,
        clean: packet.cleanStart,
        keepalive: packet.keepAlive,
        username,
        password: password && Buffer.from(password),
        will: will && {
          topic: will.topic,
          payload: Buffer.from(will.payload),
          qos: will.qos,
          retain: will.retain,
          properties: will.properties && theirProperties(will.properties),
        },
      } as mqtt.Packet;
    }
    case "connack": {
      const code = { returnCode: packet.reasonCode, reasonCode: packet.reasonCode };
      return { ...common, ...code, sessionPresent: packet.sessionPresent } as mqtt.Packet;
    }
    case "publish": {
      const { topic, qos, retain, dup, packetId } = packet;
      return {
        ...common,
        topic,
        qos,
        retain,
        dup,
        messageId: packetId,
        payload: Buffer.from(packet.payload),
      } as mqtt.Packet;
    }
    case "subscribe": {
      const subscriptions = packet.subscriptions.map(
        ({ filter, qos, noLocal, retainAsPublished, retainHandling }) => ({
          topic: filter,
          qos,
          nl: noLocal,
          rap: retainAsPublished,
          rh: retainHandling,
        }),
      );
      return { ...common, messageId: packet.packetId, subscriptions } as mqtt.Packet;
    }
    case "unsubscribe":
      return { ...common, messageId: packet.packetId, unsubscriptions: packet.filters } as mqtt.Packet;
    case "suback":
    case "unsuback":
      return { ...common, messageId: packet.packetId, granted: packet.reasonCodes } as mqtt.Packet;
    case "pingreq":
    case "pingresp":
      return { cmd: packet.type };
    case "disconnect":
    case "auth":
      return { ...common, reasonCode: packet.reasonCode } as mqtt.Packet;
    default:
      return { ...common, messageId: packet.packetId, reasonCode: packet.reasonCode } as mqtt.Packet;
  }
}

const booleans = new Set([
  "requestResponseInformation",
  "requestProblemInformation",
  "retainAvailable",
  "wildcardSubscriptionAvailable",
  "subscriptionIdentifiersAvailable",
  "sharedSubscriptionAvailable",
  "payloadFormatIndicator",
]);

function theirProperties(properties: object): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(properties)) {
    if (name === "userProperties") {
      const all: Record<string, string[]> = Object.create(null);
      for (const [key, text] of value as [string, string][]) {
        all[key] ??= [];
        all[key].push(text);
      }
      result.userProperties = all;
    } else if (name === "subscriptionIdentifiers") {
      const numbers = value as number[];
      result.subscriptionIdentifier = numbers.length === 1 ? numbers[0] : numbers;
    } else if (name === "maximumQos") result.maximumQoS = value;
    else if (booleans.has(name)) result[name] = value === 1;
    else result[name] = value instanceof Uint8Array ? Buffer.from(value) : value;
  }
  return result;
}

/** User Properties of one name lose their place among the others in mqtt-packet: compare them sorted by name. */
function comparable(packet: Packet | undefined): Packet | undefined {
  const copy = structuredClone(packet) as Packet & { will?: { properties?: object } };
  const sets = [copy, copy?.will].filter((holder) => holder !== undefined && "properties" in holder);
  for (const { properties } of sets as { properties: { userProperties?: [string, string][] } }[]) {
    properties?.userProperties?.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }
  return copy;
}

/**
 * mqtt-packet insists on a client id, and on a user name beside a password in 5.0 too; it does not know DISCONNECT with
 * 0x8C, which stands in table 2-6 of the standard but not in 3.14.2.1.
 */
function acceptable(packet: Packet): Packet {
  for (const holder of [packet, packet.type === "connect" ? packet.will : undefined]) {
    if (holder === undefined || !("properties" in holder)) continue;
    // It forgets an empty value when the name comes again.
    for (const entry of holder.properties?.userProperties ?? []) entry[1] ||= "v";
  }
  if (packet.type === "disconnect" && packet.reasonCode === 0x8c) return { ...packet, reasonCode: 0x80 };
  if (packet.type !== "connect") return packet;
  const username = packet.username ?? (packet.password === undefined ? undefined : "user");
  const clientId = packet.clientId || "c";
  return username === undefined ? { ...packet, clientId } : { ...packet, clientId, username };
}

/** Vectors the standards see otherwise than mqtt-packet does, and why. */
const exceptions = new Map([
  ["connect MQTT bridge 131", "bit 7 of the level is refused, so that bridges fall back"],
  ["connect MQTT bridge 132", "bit 7 of the level is refused, so that bridges fall back"],
  ["Version 4 CONACK in Version 5 mode", "return code 4 is no reason code of 5.0"],
  ["Version 5 CONNACK test 1", "only success of the packets in 3.4 to 3.7, 3.14 and 3.15 may be left out"],
  ["Version 5 CONNACK test 2", "CONNACK always has a Property Length"],
  ["connack MQTT 5 with properties", "Maximum QoS is 0 or 1"],
  ["connack MQTT 5 with properties and doubled user properties", "Maximum QoS is 0 or 1"],
  ["Cannot parse username", "3.1: the Remaining Length takes precedence over the user name flag"],
]);

const [core] = cores;

describe("mqtt-packet's own vectors", () => {
  const vectors = loadVectors();

  it("are found", () => {
    expect(vectors.length).toBeGreaterThan(100);
  });

  it.each(vectors)("$kind: $name", ({ kind, name, buffer, level }) => {
    const { result } = core.decode(buffer, level);
    const refused = (kind === "testParseError") !== exceptions.has(name);
    if (refused) expect(result).not.toBe(0);
    else expect(result).toBe(0);
  });

  it("need no exception that is not there", () => {
    const names = new Set(vectors.map(({ name }) => name));
    for (const name of exceptions.keys()) expect(names).toContain(name);
  });
});

describe("packets of one for the other", () => {
  it.each<ProtocolLevel>([3, 4, 5])("mqtt-packet generates, the core decodes, level %i", (level) => {
    fc.assert(
      fc.property(packetOf(level).map(acceptable), (packet) => {
        const bytes = Uint8Array.from(mqtt.generate(theirs(packet, level), { protocolVersion: level }));
        expect(comparable(core.decode(bytes, level).packet)).toEqual(comparable(packet));
      }),
      { numRuns: 1000 },
    );
  });

  it.each<ProtocolLevel>([3, 4, 5])(
    "we encode, mqtt-packet parses and generates again, level %i",
    (level) => {
      fc.assert(
        fc.property(packetOf(level).map(acceptable), (packet) => {
          const parsed: mqtt.Packet[] = [];
          const parser = mqtt.parser({ protocolVersion: level });
          parser.on("packet", (found) => parsed.push(found));
          parser.on("error", (error) => {
            throw error;
          });
          expect(parser.parse(Buffer.from(encodePacket(packet, level)))).toBe(0);
          expect(parsed).toHaveLength(1);
          const bytes = Uint8Array.from(mqtt.generate(parsed[0], { protocolVersion: level }));
          expect(comparable(core.decode(bytes, level).packet)).toEqual(comparable(packet));
        }),
        { numRuns: 1000 },
      );
    },
  );
});
