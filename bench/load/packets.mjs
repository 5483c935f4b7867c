// The few MQTT packets a load generator needs, as bytes. Written apart from the broker's codec on purpose: a mistake
// there must not be able to hide behind the same mistake here.

export const TYPE = { CONNACK: 2, PUBLISH: 3, PUBACK: 4, PUBREC: 5, PUBREL: 6, PUBCOMP: 7, SUBACK: 9 };
export const V5 = 5;
const SESSION_EXPIRY = 0x11;
const SESSION_EXPIRY_S = 3600;

function varint(value) {
  const bytes = [];
  do {
    const rest = value >>> 7;
    bytes.push((value & 127) | (rest ? 128 : 0));
    value = rest;
  } while (value);
  return Buffer.from(bytes);
}

function text(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

function packet(firstByte, ...parts) {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([firstByte]), varint(body.length), body]);
}

export function connectPacket({ proto, clientId, clean, keepAlive, username, password }) {
  const signed = username === undefined ? 0 : 0xc0;
  const head = Buffer.from([proto, (clean ? 2 : 0) | signed, keepAlive >> 8, keepAlive & 255]);
  const keep = Buffer.from([5, SESSION_EXPIRY, 0, 0, SESSION_EXPIRY_S >> 8, SESSION_EXPIRY_S & 255]);
  const properties = proto !== V5 ? Buffer.alloc(0) : clean ? Buffer.from([0]) : keep;
  const credentials = signed ? [text(username), text(password)] : [];
  return packet(0x10, text("MQTT"), head, properties, text(clientId), ...credentials);
}

export function subscribePacket({ proto, filter, qos }) {
  const properties = Buffer.from(proto === V5 ? [0] : []);
  return packet(0x82, Buffer.from([0, 1]), properties, text(filter), Buffer.from([qos]));
}

export const disconnectPacket = () => Buffer.from([0xe0, 0]);

/** A PUBLISH to be copied and completed: offsets of its packet identifier and of its payload. */
export function publishTemplate({ proto, topic, qos, size, filler }) {
  const properties = Buffer.from(proto === V5 ? [0] : []);
  const identifier = Buffer.alloc(qos ? 2 : 0);
  const bytes = packet(0x30 | (qos << 1), text(topic), identifier, properties, filler.subarray(0, size));
  const payload = bytes.length - size;
  return { bytes, payload, identifier: payload - properties.length - identifier.length };
}

/** Writes a PUBACK, PUBREC, PUBREL or PUBCOMP (4 bytes in every version) at `offset`. */
export function writeAcknowledgement(target, offset, type, identifier) {
  target[offset] = (type << 4) | (type === TYPE.PUBREL ? 2 : 0);
  target[offset + 1] = 2;
  target[offset + 2] = identifier >> 8;
  target[offset + 3] = identifier & 255;
}

/**
 * Calls `onPacket(buffer, start, body, end)` for each whole packet of `chunk` and returns the incomplete rest.
 * Throws on a length of more than four bytes.
 */
export function splitPackets(chunk, onPacket) {
  let at = 0;
  while (at < chunk.length) {
    let length = 0;
    let body = at + 1;
    let shift = 0;
    let byte = 128;
    while (byte & 128) {
      if (body === chunk.length) return chunk.subarray(at);
      if (shift > 21) throw new Error("malformed Remaining Length");
      byte = chunk[body++];
      length |= (byte & 127) << shift;
      shift += 7;
    }
    const end = body + length;
    if (end > chunk.length) return chunk.subarray(at);
    onPacket(chunk, at, body, end);
    at = end;
  }
  return chunk.subarray(at);
}
