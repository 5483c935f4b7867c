// Encoder of MQTT packets for tests. Independent of src/ on purpose: tests must not share the code under test.
// It encodes what it is told, wrong or not; `raw` builds what no well-meaning encoder would.

export type Version = 3 | 4 | 5;
export type Qos = 0 | 1 | 2;
export type Bytes = Buffer | Uint8Array | string;

/** Properties in the order they are to be written. Repeated ones are arrays. */
export interface Properties {
  payloadFormatIndicator?: number;
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Bytes;
  subscriptionIdentifier?: number | number[];
  sessionExpiryInterval?: number;
  assignedClientIdentifier?: string;
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Bytes;
  requestProblemInformation?: number;
  willDelayInterval?: number;
  requestResponseInformation?: number;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: number;
  retainAvailable?: number;
  userProperty?: [string, string][];
  maximumPacketSize?: number;
  wildcardSubscriptionAvailable?: number;
  subscriptionIdentifierAvailable?: number;
  sharedSubscriptionAvailable?: number;
}
export type PropertyName = keyof Properties;
type Kind = "byte" | "u16" | "u32" | "varint" | "string" | "binary" | "pair";

/** MQTT 5.0, table 2-4. */
export const PROPERTY_TABLE: Record<PropertyName, { id: number; kind: Kind }> = {
  payloadFormatIndicator: { id: 0x01, kind: "byte" },
  messageExpiryInterval: { id: 0x02, kind: "u32" },
  contentType: { id: 0x03, kind: "string" },
  responseTopic: { id: 0x08, kind: "string" },
  correlationData: { id: 0x09, kind: "binary" },
  subscriptionIdentifier: { id: 0x0b, kind: "varint" },
  sessionExpiryInterval: { id: 0x11, kind: "u32" },
  assignedClientIdentifier: { id: 0x12, kind: "string" },
  serverKeepAlive: { id: 0x13, kind: "u16" },
  authenticationMethod: { id: 0x15, kind: "string" },
  authenticationData: { id: 0x16, kind: "binary" },
  requestProblemInformation: { id: 0x17, kind: "byte" },
  willDelayInterval: { id: 0x18, kind: "u32" },
  requestResponseInformation: { id: 0x19, kind: "byte" },
  responseInformation: { id: 0x1a, kind: "string" },
  serverReference: { id: 0x1c, kind: "string" },
  reasonString: { id: 0x1f, kind: "string" },
  receiveMaximum: { id: 0x21, kind: "u16" },
  topicAliasMaximum: { id: 0x22, kind: "u16" },
  topicAlias: { id: 0x23, kind: "u16" },
  maximumQos: { id: 0x24, kind: "byte" },
  retainAvailable: { id: 0x25, kind: "byte" },
  userProperty: { id: 0x26, kind: "pair" },
  maximumPacketSize: { id: 0x27, kind: "u32" },
  wildcardSubscriptionAvailable: { id: 0x28, kind: "byte" },
  subscriptionIdentifierAvailable: { id: 0x29, kind: "byte" },
  sharedSubscriptionAvailable: { id: 0x2a, kind: "byte" },
};

export const u8 = (value: number): Buffer => Buffer.from([value]);
export const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  do {
    const low = value % 128;
    value = Math.floor(value / 128);
    bytes.push(value > 0 ? low | 128 : low);
  } while (value > 0);
  return Buffer.from(bytes);
}
/** Two bytes of length, then the bytes. */
export function lengthed(value: Bytes): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([u16(bytes.length), bytes]);
}

/** One packet: first byte as given, Remaining Length counted. */
export function raw(firstByte: number, ...body: Bytes[]): Buffer {
  const rest = Buffer.concat(body.map((part) => Buffer.from(part as string)));
  return Buffer.concat([u8(firstByte), varint(rest.length), rest]);
}

function encodeProperty(name: PropertyName, value: unknown): Buffer {
  const { id, kind } = PROPERTY_TABLE[name];
  switch (kind) {
    case "byte":
      return Buffer.from([id, value as number]);
    case "u16":
      return Buffer.concat([u8(id), u16(value as number)]);
    case "u32":
      return Buffer.concat([u8(id), u32(value as number)]);
    case "varint":
      return Buffer.concat([u8(id), varint(value as number)]);
    case "string":
    case "binary":
      return Buffer.concat([u8(id), lengthed(value as Bytes)]);
    case "pair": {
      const [key, text] = value as [string, string];
      return Buffer.concat([u8(id), lengthed(key), lengthed(text)]);
    }
  }
}

/** Property block: length and contents. A Buffer is taken as contents, ready made. */
export function encodeProperties(properties: Properties | Buffer = {}): Buffer {
  if (Buffer.isBuffer(properties)) return Buffer.concat([varint(properties.length), properties]);
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value])
      parts.push(encodeProperty(name as PropertyName, one));
  }
  const contents = Buffer.concat(parts);
  return Buffer.concat([varint(contents.length), contents]);
}

export interface WillOptions {
  topic: string;
  payload?: Bytes;
  qos?: Qos;
  retain?: boolean;
  properties?: Properties | Buffer;
}
export interface ConnectOptions {
  clientId?: string;
  /** Clean Session, Clean Start. Default true. */
  clean?: boolean;
  keepAlive?: number;
  username?: string;
  password?: Bytes;
  will?: WillOptions;
  properties?: Properties | Buffer;
  protocolName?: string;
  level?: number;
  /** Bits to flip in the connect flags. */
  flipFlags?: number;
}
export interface PublishOptions {
  qos?: Qos;
  retain?: boolean;
  dup?: boolean;
  id?: number;
  properties?: Properties | Buffer;
}
export interface SubscribeOptions {
  qos?: Qos;
  noLocal?: boolean;
  retainAsPublished?: boolean;
  retainHandling?: 0 | 1 | 2;
}
export interface Filter extends SubscribeOptions {
  filter: string;
}

/** Encoder for one protocol version. */
export class Wire {
  readonly version: Version;
  constructor(version: Version) {
    this.version = version;
  }

  #block(properties: Properties | Buffer | undefined): Buffer {
    return this.version === 5 ? encodeProperties(properties) : Buffer.alloc(0);
  }

  connect(options: ConnectOptions = {}): Buffer {
    const { will, username, password } = options;
    let flags = options.clean === false ? 0 : 2;
    if (will) flags |= 4 | ((will.qos ?? 0) << 3) | (will.retain ? 32 : 0);
    if (username !== undefined) flags |= 128;
    if (password !== undefined) flags |= 64;
    return raw(
      0x10,
      lengthed(options.protocolName ?? (this.version === 3 ? "MQIsdp" : "MQTT")),
      u8(options.level ?? this.version),
      u8(flags ^ (options.flipFlags ?? 0)),
      u16(options.keepAlive ?? 60),
      this.#block(options.properties),
      lengthed(options.clientId ?? ""),
      ...(will ? [this.#block(will.properties), lengthed(will.topic), lengthed(will.payload ?? "")] : []),
      ...(username !== undefined ? [lengthed(username)] : []),
      ...(password !== undefined ? [lengthed(password)] : []),
    );
  }

  publish(topic: string, payload: Bytes = "", options: PublishOptions = {}): Buffer {
    const qos = options.qos ?? 0;
    return raw(
      0x30 | (options.dup ? 8 : 0) | (qos << 1) | (options.retain ? 1 : 0),
      lengthed(topic),
      qos > 0 ? u16(options.id ?? 1) : "",
      this.#block(options.properties),
      payload,
    );
  }

  #acknowledgement(firstByte: number, id: number, reason?: number, properties?: Properties | Buffer): Buffer {
    if (this.version !== 5 || reason === undefined) return raw(firstByte, u16(id));
    return raw(firstByte, u16(id), u8(reason), properties === undefined ? "" : encodeProperties(properties));
  }
  puback(id: number, reason?: number, properties?: Properties | Buffer): Buffer {
    return this.#acknowledgement(0x40, id, reason, properties);
  }
  pubrec(id: number, reason?: number, properties?: Properties | Buffer): Buffer {
    return this.#acknowledgement(0x50, id, reason, properties);
  }
  pubrel(id: number, reason?: number, properties?: Properties | Buffer): Buffer {
    return this.#acknowledgement(0x62, id, reason, properties);
  }
  pubcomp(id: number, reason?: number, properties?: Properties | Buffer): Buffer {
    return this.#acknowledgement(0x70, id, reason, properties);
  }

  subscribe(
    id: number,
    filters: string | Filter | (string | Filter)[],
    properties?: Properties | Buffer,
  ): Buffer {
    const list = (Array.isArray(filters) ? filters : [filters]).map((one) =>
      typeof one === "string" ? { filter: one } : one,
    );
    return raw(
      0x82,
      u16(id),
      this.#block(properties),
      ...list.flatMap((one) => [
        lengthed(one.filter),
        u8(
          (one.qos ?? 0) |
            (one.noLocal ? 4 : 0) |
            (one.retainAsPublished ? 8 : 0) |
            ((one.retainHandling ?? 0) << 4),
        ),
      ]),
    );
  }

  unsubscribe(id: number, filters: string | string[], properties?: Properties | Buffer): Buffer {
    const list = Array.isArray(filters) ? filters : [filters];
    return raw(0xa2, u16(id), this.#block(properties), ...list.map(lengthed));
  }

  pingreq(): Buffer {
    return raw(0xc0);
  }

  disconnect(reason?: number, properties?: Properties | Buffer): Buffer {
    if (this.version !== 5 || reason === undefined) return raw(0xe0);
    return raw(0xe0, u8(reason), properties === undefined ? "" : encodeProperties(properties));
  }

  auth(reason: number, properties?: Properties | Buffer): Buffer {
    return raw(0xf0, u8(reason), encodeProperties(properties));
  }
}
