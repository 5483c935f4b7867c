// Encodes every packet of MQTT 3.1, 3.1.1 and 5.0, those of a server and those of a client, from plain objects.
// One function for each packet; encodePacket() chooses. The result is a fresh array that belongs to the caller.
// Syntax only: whether a packet may be sent now is for the caller to know.
import type {
  AckPacket,
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  Packet,
  PublishPacket,
  SubackPacket,
  SubscribePacket,
  UnsubackPacket,
  UnsubscribePacket,
} from "./packet.ts";
import { PacketType, type ProtocolLevel } from "./packet-types.ts";
import { PacketEncodeError, PacketWriter } from "./packet-writer.ts";
import type { Properties } from "./properties.ts";
import { hasProperties, writeProperties } from "./property-encoder.ts";
import { returnCodeOf, subackCodeOf } from "./reason-codes.ts";

/** A packet to encode: the fields that have an obvious value may be left out. */
export type Encodable<P, Optional extends keyof P = never> = Omit<P, "type" | "level" | Optional> &
  Partial<Pick<P, Optional>> & { level: ProtocolLevel };

const writer = new PacketWriter();

export function encodeConnect(packet: Encodable<ConnectPacket, "cleanStart" | "keepAlive">): Uint8Array {
  const { level, will, username, password, cleanStart = true } = packet;
  if (level < 5 && password !== undefined && username === undefined) {
    throw new PacketEncodeError("a password needs a user name before 5.0"); // [MQTT-3.1.2-22]
  }
  let flags = cleanStart ? 2 : 0;
  if (will !== undefined) flags |= 4 | (will.qos << 3) | (will.retain ? 0x20 : 0);
  if (password !== undefined) flags |= 0x40;
  if (username !== undefined) flags |= 0x80;
  writer.start();
  writer.string(level === 3 ? "MQIsdp" : "MQTT");
  writer.byte(level);
  writer.byte(flags);
  writer.u16(packet.keepAlive ?? 0);
  if (level === 5) writeProperties(writer, packet.properties, "connect");
  writer.string(packet.clientId);
  if (will !== undefined) {
    if (level === 5) writeProperties(writer, will.properties, "will");
    writer.string(will.topic);
    writer.binary(will.payload);
  }
  if (username !== undefined) writer.string(username);
  if (password !== undefined) writer.binary(password);
  return writer.take(0x10);
}

/** Reason codes from 0x80 become return codes before 5.0; 3.1 has no Session Present. */
export function encodeConnack(packet: Encodable<ConnackPacket, "sessionPresent">): Uint8Array {
  const { level, reasonCode, sessionPresent = false } = packet;
  writer.start();
  writer.byte(sessionPresent && reasonCode === 0 && level > 3 ? 1 : 0); // [MQTT-3.2.2-6]
  writer.byte(level === 5 ? reasonCode : returnCodeOf(reasonCode));
  if (level === 5) writeProperties(writer, packet.properties, "connack");
  return writer.take(0x20);
}

export function encodePublish(
  packet: Encodable<PublishPacket, "qos" | "retain" | "dup" | "packetId">,
): Uint8Array {
  const { qos = 0, packetId = 0 } = packet;
  if (qos > 0 !== packetId > 0) throw new PacketEncodeError("a packet identifier goes with QoS 1 and 2"); // [MQTT-2.2.1-2]
  writer.start();
  writer.string(packet.topic);
  if (qos > 0) writer.u16(packetId);
  if (packet.level === 5) writeProperties(writer, packet.properties, "publish");
  writer.raw(packet.payload);
  return writer.take(0x30 | (packet.dup ? 8 : 0) | (qos << 1) | (packet.retain ? 1 : 0));
}

export function encodeAck(type: AckPacket["type"], packet: Encodable<AckPacket, "reasonCode">): Uint8Array {
  writer.start();
  writePacketId(packet.packetId);
  if (packet.level === 5) writeReason(type, packet.reasonCode ?? 0, packet.properties);
  return writer.take((PacketType[type] << 4) | (type === "pubrel" ? 2 : 0));
}

export function encodeSubscribe(packet: Encodable<SubscribePacket>): Uint8Array {
  if (packet.subscriptions.length === 0) throw new PacketEncodeError("no Topic Filter"); // [MQTT-3.8.3-2]
  writer.start();
  writePacketId(packet.packetId);
  if (packet.level === 5) writeProperties(writer, packet.properties, "subscribe");
  for (const { filter, qos, noLocal, retainAsPublished, retainHandling } of packet.subscriptions) {
    writer.string(filter);
    const options = (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | (retainHandling << 4);
    writer.byte(packet.level === 5 ? qos | options : qos);
  }
  return writer.take(0x82);
}

/** Failures become 0x80 in 3.1.1, and QoS 0 in 3.1, which has no failure. */
export function encodeSuback(packet: Encodable<SubackPacket>): Uint8Array {
  writer.start();
  writePacketId(packet.packetId);
  if (packet.level === 5) writeProperties(writer, packet.properties, "suback");
  for (const code of packet.reasonCodes) writer.byte(subackCodeOf(code, packet.level));
  return writer.take(0x90);
}

export function encodeUnsubscribe(packet: Encodable<UnsubscribePacket>): Uint8Array {
  if (packet.filters.length === 0) throw new PacketEncodeError("no Topic Filter"); // [MQTT-3.10.3-2]
  writer.start();
  writePacketId(packet.packetId);
  if (packet.level === 5) writeProperties(writer, packet.properties, "unsubscribe");
  for (const filter of packet.filters) writer.string(filter);
  return writer.take(0xa2);
}

/** Before 5.0 without reason codes. */
export function encodeUnsuback(packet: Encodable<UnsubackPacket, "reasonCodes">): Uint8Array {
  writer.start();
  writePacketId(packet.packetId);
  if (packet.level === 5) {
    writeProperties(writer, packet.properties, "unsuback");
    for (const code of packet.reasonCodes ?? []) writer.byte(code);
  }
  return writer.take(0xb0);
}

export function encodeDisconnect(packet: Encodable<DisconnectPacket, "reasonCode">): Uint8Array {
  writer.start();
  if (packet.level === 5) writeReason("disconnect", packet.reasonCode ?? 0, packet.properties);
  return writer.take(0xe0);
}

/** 5.0 only. */
export function encodeAuth(packet: Omit<AuthPacket, "type">): Uint8Array {
  writer.start();
  // Only a packet of nothing but success may be empty (3.15.2.1).
  if (packet.reasonCode !== 0 || hasProperties(packet.properties)) {
    writer.byte(packet.reasonCode);
    writeProperties(writer, packet.properties, "auth");
  }
  return writer.take(0xf0);
}

/** Encodes any packet for a connection of this version. */
export function encodePacket(packet: Packet, level: ProtocolLevel): Uint8Array {
  switch (packet.type) {
    case "connect":
      return encodeConnect(packet);
    case "connack":
      return encodeConnack({ ...packet, level });
    case "publish":
      return encodePublish({ ...packet, level });
    case "puback":
    case "pubrec":
    case "pubrel":
    case "pubcomp":
      return encodeAck(packet.type, { ...packet, level });
    case "subscribe":
      return encodeSubscribe({ ...packet, level });
    case "suback":
      return encodeSuback({ ...packet, level });
    case "unsubscribe":
      return encodeUnsubscribe({ ...packet, level });
    case "unsuback":
      return encodeUnsuback({ ...packet, level });
    case "pingreq":
      return Uint8Array.of(0xc0, 0);
    case "pingresp":
      return Uint8Array.of(0xd0, 0);
    case "disconnect":
      return encodeDisconnect({ ...packet, level });
    case "auth":
      if (level < 5) throw new PacketEncodeError("AUTH came with 5.0");
      return encodeAuth(packet);
  }
}

/**
 * Encodes a packet within the receiver's Maximum Packet Size: where it would be exceeded, Reason String, then User
 * Properties are left out [MQTT-3.2.2-19] [MQTT-3.4.2-2] [MQTT-3.14.2-3]. Undefined: it does not fit even so, and must
 * not be sent [MQTT-3.1.2-24].
 */
export function fitReason<P extends { properties?: Properties }>(
  encode: (packet: P) => Uint8Array,
  packet: P,
  maximumPacketSize: number,
): Uint8Array | undefined {
  let bytes = encode(packet);
  if (bytes.length <= maximumPacketSize) return bytes;
  const properties = { ...packet.properties };
  for (const name of ["reasonString", "userProperties"] as const) {
    if (properties[name] === undefined) continue;
    delete properties[name];
    bytes = encode({ ...packet, properties });
    if (bytes.length <= maximumPacketSize) return bytes;
  }
  return undefined;
}

function writePacketId(id: number): void {
  if (id === 0) throw new PacketEncodeError("packet identifier 0"); // [MQTT-2.2.1-3]
  writer.u16(id);
}

/** Reason code and properties in their shortest form: success without properties is nothing at all (3.4.2.1). */
function writeReason(
  type: AckPacket["type"] | "disconnect",
  reasonCode: number,
  properties: Properties | undefined,
): void {
  const some = hasProperties(properties);
  if (reasonCode === 0 && !some) return;
  writer.byte(reasonCode);
  if (some) writeProperties(writer, properties, type);
}
