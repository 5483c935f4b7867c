// Messages that are born or read on the host: publishes of the server, Wills, copies for in-process subscribers.
// Makes the canonical form of assembly/abi.ts, and reads it back as an object.
import { MESSAGE_HEAD, M_NO_SHARED, M_RETAIN, NO_EXPIRY } from "../../core/generated/abi.ts";
import { encodePublish } from "../../protocol/packet-encoder.ts";
import type { Qos } from "../../protocol/packet-types.ts";
import { type Properties, propertyById } from "../../protocol/properties.ts";
import type { MessageView } from "../../core/message-view.ts";

/** A message as embedders give and get it. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties?: Properties;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The canonical form. Properties that belong to one connection or delivery are left out. */
export function canonicalMessage(message: Message, sender: number, now: number, noShared = false): Buffer {
  const {
    topicAlias: _alias,
    subscriptionIdentifiers: _ids,
    willDelayInterval: _delay,
    ...properties
  } = message.properties ?? {};
  // A 5.0 PUBLISH with QoS 0, without its fixed header, is the canonical body.
  const packet = encodePublish({
    level: 5,
    topic: message.topic,
    payload: message.payload,
    qos: 0,
    retain: false,
    properties,
  });
  let from = 1;
  while (packet[from++] & 128);
  const size = MESSAGE_HEAD + packet.length - from;
  const bytes = Buffer.allocUnsafe(size);
  bytes.writeUInt32LE(size, 0);
  bytes.writeUInt32LE(message.qos | (message.retain ? M_RETAIN : 0) | (noShared ? M_NO_SHARED : 0), 4);
  bytes.writeUInt32LE(sender, 8);
  bytes.writeUInt32LE((packet[from] << 8) | packet[from + 1], 12);
  bytes.writeDoubleLE(now, 16);
  bytes.writeUInt32LE(properties.messageExpiryInterval ?? NO_EXPIRY, 24);
  bytes.writeUInt32LE(0, 28);
  bytes.set(packet.subarray(from), MESSAGE_HEAD);
  return bytes;
}

/** Where payload and properties of a canonical message lie. */
export function messageParts(view: MessageView): {
  properties: number;
  propertiesEnd: number;
  payload: number;
  payloadEnd: number;
} {
  const { bytes } = view;
  let at = view.offset + MESSAGE_HEAD + 2 + view.topicLength;
  let length = 0;
  let shift = 0;
  let byte: number;
  do {
    byte = bytes[at++];
    length |= (byte & 127) << shift;
    shift += 7;
  } while (byte & 128);
  return {
    properties: at,
    propertiesEnd: at + length,
    payload: at + length,
    payloadEnd: view.offset + view.size + view.external,
  };
}

/** The message goes to ordinary subscriptions only. */
export function dropShared(message: Buffer): void {
  message.writeUInt32LE(message.readUInt32LE(4) | M_NO_SHARED, 4);
}

/** Reads a canonical message; everything is copied. The Message Expiry Interval is what remains at `now`. */
export function readMessage(view: MessageView, now: number): Message {
  const parts = messageParts(view);
  const topicAt = view.offset + MESSAGE_HEAD + 2;
  const properties = readProperties(view.bytes, parts.properties, parts.propertiesEnd);
  if (properties?.messageExpiryInterval !== undefined)
    properties.messageExpiryInterval = remainingExpiry(view, now);
  const message = {
    topic: decoder.decode(view.bytes.subarray(topicAt, topicAt + view.topicLength)),
    payload: Uint8Array.prototype.slice.call(view.bytes, parts.payload, parts.payloadEnd),
    qos: view.qos,
    retain: view.retain,
  };
  return properties === undefined ? message : { ...message, properties };
}

/** s that remain, NO_EXPIRY where the message never expires, 0 where it has expired. */
export function remainingExpiry(view: MessageView, now: number): number {
  if (view.expiry === NO_EXPIRY) return NO_EXPIRY;
  const left = view.expiry - Math.floor((now - view.receivedAt) / 1000);
  return now - view.receivedAt >= view.expiry * 1000 ? 0 : Math.max(1, left);
}

/** Property bytes that the core has validated. */
export function readProperties(bytes: Buffer, from: number, to: number): Properties | undefined {
  if (from === to) return undefined;
  const properties: Record<string, unknown> = {};
  let at = from;
  const block = (): Buffer => {
    const length = bytes.readUInt16BE(at);
    at += 2 + length;
    return bytes.subarray(at - length, at);
  };
  while (at < to) {
    const spec = propertyById(bytes[at++]);
    if (spec === undefined) break;
    switch (spec.type) {
      case "byte":
        properties[spec.name] = bytes[at++];
        break;
      case "u16":
        properties[spec.name] = bytes.readUInt16BE(at);
        at += 2;
        break;
      case "u32":
        properties[spec.name] = bytes.readUInt32BE(at);
        at += 4;
        break;
      case "string":
        properties[spec.name] = decoder.decode(block());
        break;
      case "binary":
        properties[spec.name] = Uint8Array.prototype.slice.call(block());
        break;
      case "pair": {
        const pair: [string, string] = [decoder.decode(block()), decoder.decode(block())];
        const pairs = properties[spec.name] as [string, string][] | undefined;
        if (pairs === undefined) properties[spec.name] = [pair];
        else pairs.push(pair);
        break;
      }
      default:
        return properties as Properties;
    }
  }
  return properties as Properties;
}
