// The names and secrets of the worked vectors, as the replays' devices have them, and their bytes on the wire.
import type { RawClient } from "../../support/raw-client.ts";
import type { TestServer } from "../../support/server.ts";
import { lengthed, raw, u16, u8, type Version } from "../../support/wire.ts";
import { MemoryRegistry } from "../../../src/platform/registry/index.ts";
import { CLASSES, PK, SECRET } from "../devices.ts";

export { PK, SECRET };
export const SUB_SECRET = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb";

/** `device1` is a gateway too: its product is one of gateways. `sub1` is its sub-device. */
export function replayRegistry(): MemoryRegistry {
  const registry = new MemoryRegistry();
  registry.putProduct({
    productKey: PK,
    productSecret: "ProductSecret001",
    topicClasses: CLASSES,
    nodeType: "gateway",
  });
  registry.putDevice({ productKey: PK, deviceName: "device1", deviceSecret: SECRET });
  registry.putProduct({
    productKey: "a1SUB000001",
    productSecret: "ProductSecret002",
    topicClasses: CLASSES,
  });
  registry.putDevice({ productKey: "a1SUB000001", deviceName: "sub1", deviceSecret: SUB_SECRET });
  return registry;
}

export interface Connect {
  readonly clientId: string;
  readonly password: string;
  readonly keepAlive: number;
  readonly clean: boolean;
  readonly protocol?: readonly [name: string, level: number];
}

/** CONNECT as it lies on the wire: user name and password, no Will; of 5.0 an empty property block. */
export function connectBytes({ clientId, password, keepAlive, clean, protocol }: Connect): Buffer {
  const [name, level] = protocol ?? ["MQTT", 4];
  return raw(
    0x10,
    lengthed(name),
    u8(level),
    u8(0xc0 | (clean ? 2 : 0)),
    u16(keepAlive),
    level === 5 ? u8(0) : "",
    lengthed(clientId),
    lengthed(`device1&${PK}`),
    lengthed(password),
  );
}

/** Sends the CONNECT and returns the connected client. */
export async function replay(server: TestServer, version: Version, connect: Connect): Promise<RawClient> {
  const client = await server.open(version);
  client.send(connectBytes({ protocol: version === 3 ? ["MQIsdp", 3] : ["MQTT", version], ...connect }));
  client.connack = await client.next("connack");
  if (client.connack.reason !== 0) throw new Error(`refused: ${client.connack.reason}`);
  return client;
}

/** Publishes at QoS 0 and returns the next message, as JSON. */
export async function ask(
  client: RawClient,
  topic: string,
  payload: string,
): Promise<{ topic: string; body: Record<string, unknown> }> {
  client.send(client.wire.publish(topic, payload));
  const message = await client.receive();
  return { topic: message.topic, body: JSON.parse(message.text) as Record<string, unknown> };
}
