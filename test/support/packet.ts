// Decoder of packets a server sends, for tests. Strict: whatever a server must not send is an error, so that every
// test also checks the form of what it receives. Independent of src/.
import { PROPERTY_TABLE, type Properties, type PropertyName, type Qos, type Version } from "./wire.ts";

/** Properties as received: those that may be repeated are always arrays. */
export type Received = Omit<
  Properties,
  "subscriptionIdentifier" | "userProperty" | "correlationData" | "authenticationData"
> & {
  subscriptionIdentifier?: number[];
  userProperty?: [string, string][];
  correlationData?: Buffer;
  authenticationData?: Buffer;
};

interface Base {
  /** The packet as it came. */
  bytes: Buffer;
  properties: Received;
}
export interface Connack extends Base {
  type: "connack";
  sessionPresent: boolean;
  reason: number;
}
export interface Publish extends Base {
  type: "publish";
  topic: string;
  payload: Buffer;
  text: string;
  qos: Qos;
  retain: boolean;
  dup: boolean;
  id: number;
}
export interface Acknowledgement extends Base {
  type: "puback" | "pubrec" | "pubrel" | "pubcomp";
  id: number;
  reason: number;
}
export interface Suback extends Base {
  type: "suback" | "unsuback";
  id: number;
  reasons: number[];
}
export interface Pingresp extends Base {
  type: "pingresp";
}
export interface Disconnect extends Base {
  type: "disconnect" | "auth";
  reason: number;
}
export type Packet = Connack | Publish | Acknowledgement | Suback | Pingresp | Disconnect;
export type PacketType = Packet["type"];

const ALLOWED: Partial<Record<PacketType, PropertyName[]>> = {
  connack: [
    "sessionExpiryInterval", "receiveMaximum", "maximumQos", "retainAvailable", "maximumPacketSize",
    "assignedClientIdentifier", "topicAliasMaximum", "reasonString", "userProperty", "wildcardSubscriptionAvailable",
    "subscriptionIdentifierAvailable", "sharedSubscriptionAvailable", "serverKeepAlive", "responseInformation",
    "serverReference", "authenticationMethod", "authenticationData",
  ], // biome-ignore format: a table
  publish: [
    "payloadFormatIndicator", "messageExpiryInterval", "topicAlias", "responseTopic", "correlationData", "userProperty",
    "subscriptionIdentifier", "contentType",
  ], // biome-ignore format: a table
  puback: ["reasonString", "userProperty"],
  pubrec: ["reasonString", "userProperty"],
  pubrel: ["reasonString", "userProperty"],
  pubcomp: ["reasonString", "userProperty"],
  suback: ["reasonString", "userProperty"],
  unsuback: ["reasonString", "userProperty"],
  disconnect: ["reasonString", "userProperty", "serverReference"],
  auth: ["authenticationMethod", "authenticationData", "reasonString", "userProperty"],
};
const NAMES = new Map(Object.entries(PROPERTY_TABLE).map(([name, { id }]) => [id, name as PropertyName]));
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Reader {
  readonly bytes: Buffer;
  at: number;
  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }
  get left(): number {
    return this.bytes.length - this.at;
  }
  take(count: number): Buffer {
    if (count > this.left) throw new Error(`server sent a short packet: ${this.bytes.toString("hex")}`);
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
  u8(): number {
    return this.take(1)[0];
  }
  u16(): number {
    return this.take(2).readUInt16BE();
  }
  u32(): number {
    return this.take(4).readUInt32BE();
  }
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new Error("server sent a variable byte integer of more than four bytes");
  }
  string(): string {
    return utf8.decode(this.take(this.u16()));
  }
}

function readProperties(reader: Reader, type: PacketType): Received {
  const length = reader.varint();
  const end = reader.at + length;
  if (length > reader.left)
    throw new Error(`server sent a property length that overruns: ${reader.bytes.toString("hex")}`);
  const properties: Received = {};
  while (reader.at < end) {
    const id = reader.varint();
    const name = NAMES.get(id);
    if (!name || !ALLOWED[type]?.includes(name))
      throw new Error(`server sent property 0x${id.toString(16)} in ${type}`);
    if (name === "userProperty") {
      properties.userProperty ??= [];
      properties.userProperty.push([reader.string(), reader.string()]);
      continue;
    }
    if (name === "subscriptionIdentifier") {
      properties.subscriptionIdentifier ??= [];
      properties.subscriptionIdentifier.push(reader.varint());
      continue;
    }
    if (name in properties) throw new Error(`server sent ${name} twice in ${type}`);
    const { kind } = PROPERTY_TABLE[name];
    const value =
      kind === "byte" ? reader.u8()
      : kind === "u16" ? reader.u16()
      : kind === "u32" ? reader.u32()
      : kind === "varint" ? reader.varint()
      : kind === "string" ? reader.string()
      : Buffer.from(reader.take(reader.u16())); // biome-ignore format: a table
    Object.assign(properties, { [name]: value });
  }
  if (reader.at !== end) throw new Error(`server sent a wrong property length in ${type}`);
  return properties;
}

/** Size of the first packet in `bytes`, which may hold only its head; undefined where the head is incomplete. */
export function frameSize(bytes: Buffer): number | undefined {
  let value = 0;
  for (let index = 1; index <= 4; index++) {
    if (index >= bytes.length) return undefined;
    value += (bytes[index] & 127) * 128 ** (index - 1);
    if (bytes[index] < 128) return index + 1 + value;
  }
  throw new Error("server sent a Remaining Length of more than four bytes");
}

const TYPES: Record<number, PacketType> = {
  2: "connack", 3: "publish", 4: "puback", 5: "pubrec", 6: "pubrel", 7: "pubcomp", 9: "suback", 11: "unsuback",
  13: "pingresp", 14: "disconnect", 15: "auth",
}; // biome-ignore format: a table

/** Decodes one whole packet. Throws for anything a server must not send. */
export function decode(bytes: Buffer, version: Version): Packet {
  const type = TYPES[bytes[0] >> 4];
  const flags = bytes[0] & 15;
  if (!type || ((type === "disconnect" || type === "auth") && version !== 5)) {
    throw new Error(`server sent packet type ${bytes[0] >> 4} to a client of level ${version}`);
  }
  if (type !== "publish" && flags !== (type === "pubrel" ? 2 : 0)) {
    // 3.1 sends a repeated PUBREL with DUP.
    if (!(version === 3 && type === "pubrel" && flags === 10))
      throw new Error(`server sent ${type} with flags ${flags}`);
  }
  const reader = new Reader(bytes, 1);
  reader.varint();
  const packet = decodeBody(type, flags, reader, version);
  if (reader.left > 0)
    throw new Error(`server sent ${reader.left} bytes too many in ${type}: ${bytes.toString("hex")}`);
  return packet;
}

function decodeBody(type: PacketType, flags: number, reader: Reader, version: Version): Packet {
  const bytes = reader.bytes;
  const block = (): Received => (version === 5 ? readProperties(reader, type) : {});
  const optionalBlock = (): Received => (reader.left > 0 ? block() : {});
  switch (type) {
    case "connack": {
      const acknowledge = reader.u8();
      if (acknowledge > 1 || (version === 3 && acknowledge !== 0))
        throw new Error("server sent reserved CONNACK flags");
      const reason = reader.u8();
      if (reason !== 0 && acknowledge !== 0)
        throw new Error("server sent Session Present in a refusal [MQTT-3.2.2-6]");
      return { type, bytes, sessionPresent: acknowledge === 1, reason, properties: block() };
    }
    case "publish": {
      const qos = (flags >> 1) & 3;
      if (qos === 3) throw new Error("server sent QoS 3 [MQTT-3.3.1-4]");
      if (qos === 0 && flags & 8) throw new Error("server sent DUP with QoS 0 [MQTT-3.3.1-2]");
      const topic = reader.string();
      const id = qos > 0 ? reader.u16() : 0;
      if (qos > 0 && id === 0) throw new Error("server sent Packet Identifier 0 [MQTT-2.2.1-3]");
      const properties = block();
      const payload = Buffer.from(reader.take(reader.left));
      return {
        type, bytes, topic, payload, text: payload.toString(), qos: qos as Qos,
        retain: (flags & 1) === 1, dup: (flags & 8) === 8, id, properties,
      }; // biome-ignore format: a table
    }
    case "puback":
    case "pubrec":
    case "pubrel":
    case "pubcomp": {
      const id = reader.u16();
      const reason = version === 5 && reader.left > 0 ? reader.u8() : 0;
      return { type, bytes, id, reason, properties: optionalBlock() };
    }
    case "suback":
    case "unsuback": {
      const id = reader.u16();
      const properties = block();
      const reasons = [...reader.take(type === "suback" || version === 5 ? reader.left : 0)];
      return { type, bytes, id, reasons, properties };
    }
    case "pingresp":
      return { type, bytes, properties: {} };
    case "disconnect":
    case "auth": {
      const reason = reader.left > 0 ? reader.u8() : 0;
      return { type, bytes, reason, properties: optionalBlock() };
    }
  }
}
