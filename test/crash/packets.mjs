// The MQTT 3.1.1 and 5.0 packets the crash harness needs. Apart from src/ on purpose: a mistake there must not be able to
// hide behind the same mistake here.

export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBACK = 9;
export const UNSUBACK = 11;
export const PINGRESP = 13;
export const DISCONNECT = 14;

const NOTHING = Buffer.alloc(0);
const NO_PROPERTIES = Buffer.of(0);

const u16 = (value) => Buffer.of(value >> 8, value & 255);

const bytes16 = (bytes) => Buffer.concat([u16(bytes.length), bytes]);
const text = (value) => bytes16(Buffer.from(value));

function packet(firstByte, ...parts) {
  const body = Buffer.concat(parts);
  const head = [firstByte];
  let left = body.length;
  do {
    const low = left & 127;
    left >>>= 7;
    head.push(left > 0 ? low | 128 : low);
  } while (left > 0);
  return Buffer.concat([Buffer.from(head), body]);
}

/**
 * `expiry` (s), `receiveMaximum` and `will` are for 5.0 alone. `will`: {delay (s), message}; `username` and `password` come
 * together.
 */
export function connectPacket({
  version,
  clientId,
  clean,
  expiry,
  receiveMaximum,
  will,
  keepAlive = 0,
  username,
  password,
}) {
  let properties = NOTHING;
  if (version === 5) {
    const list = [];
    if (expiry > 0) list.push(Buffer.of(0x11), u16(expiry >>> 16), u16(expiry & 0xffff));
    if (receiveMaximum > 0) list.push(Buffer.of(0x21), u16(receiveMaximum));
    const bytes = Buffer.concat(list);
    properties = Buffer.concat([Buffer.of(bytes.length), bytes]);
  }
  const flags =
    (clean ? 2 : 0) |
    (will === undefined ? 0 : 4 | (will.message.qos << 3)) |
    (username === undefined ? 0 : 0xc0);
  const parts = [];
  if (will !== undefined)
    parts.push(
      Buffer.of(5, 0x18, 0, 0, will.delay >> 8, will.delay & 255),
      text(will.message.topic),
      bytes16(will.message.payload),
    );
  if (username !== undefined) parts.push(text(username), text(password));
  return packet(
    0x10,
    text("MQTT"),
    Buffer.of(version, flags),
    u16(keepAlive),
    properties,
    text(clientId),
    ...parts,
  );
}

export function publishPacket({ version, topic, payload, qos, retain, dup, id }) {
  return packet(
    0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0),
    text(topic),
    qos > 0 ? u16(id) : NOTHING,
    version === 5 ? NO_PROPERTIES : NOTHING,
    payload,
  );
}

export function acknowledgement(type, id) {
  return Buffer.of((type << 4) | (type === PUBREL ? 2 : 0), 2, id >> 8, id & 255);
}

export function subscribePacket(version, id, filter, qos) {
  return packet(0x82, u16(id), version === 5 ? NO_PROPERTIES : NOTHING, text(filter), Buffer.of(qos));
}

export function unsubscribePacket(version, id, filter) {
  return packet(0xa2, u16(id), version === 5 ? NO_PROPERTIES : NOTHING, text(filter));
}

export const pingPacket = () => Buffer.of(0xc0, 0);
export const disconnectPacket = () => Buffer.of(0xe0, 0);

/** Cuts a stream into packets. */
export class PacketReader {
  #rest = NOTHING;

  /** Whole packets so far, decoded. */
  *read(chunk, version) {
    let input = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (;;) {
      const length = lengthOf(input);
      if (length === undefined || input.length < length.total) break;
      const body = input.subarray(length.head, length.total);
      const first = input[0];
      input = input.subarray(length.total);
      this.#rest = input;
      yield decode(first, body, version);
    }
    this.#rest = input;
  }
}

function lengthOf(bytes) {
  let value = 0;
  for (let at = 1; at < 5; at++) {
    if (at >= bytes.length) return undefined;
    value |= (bytes[at] & 127) << (7 * (at - 1));
    if (bytes[at] < 128) return { head: at + 1, total: at + 1 + value };
  }
  throw new Error("the broker sent a Remaining Length of more than four bytes");
}

/** Behind the properties that begin at `at`. */
function skipProperties(body, at, version) {
  if (version !== 5) return at;
  let length = 0;
  let shift = 0;
  let byte;
  do {
    byte = body[at++];
    length |= (byte & 127) << shift;
    shift += 7;
  } while (byte & 128);
  return at + length;
}

function decode(first, body, version) {
  const type = first >> 4;
  switch (type) {
    case CONNACK:
      return { type, sessionPresent: (body[0] & 1) === 1, reason: body[1] };
    case PUBLISH: {
      const qos = (first >> 1) & 3;
      const topicEnd = 2 + body.readUInt16BE(0);
      const topic = body.toString("utf8", 2, topicEnd);
      const id = qos > 0 ? body.readUInt16BE(topicEnd) : 0;
      const at = skipProperties(body, qos > 0 ? topicEnd + 2 : topicEnd, version);
      const payload = body.toString("utf8", at);
      return { type, topic, payload, qos, id, retain: (first & 1) === 1, dup: (first & 8) === 8 };
    }
    case SUBACK:
    case UNSUBACK: {
      const reasons = [...body.subarray(skipProperties(body, 2, version))];
      return { type, id: body.readUInt16BE(0), reason: reasons[0] ?? 0 };
    }
    case PUBACK:
    case PUBREC:
    case PUBREL:
    case PUBCOMP:
      return { type, id: body.readUInt16BE(0), reason: body.length > 2 ? body[2] : 0 };
    default:
      return { type, reason: body.length > 0 ? body[0] : 0 };
  }
}
