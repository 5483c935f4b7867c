// PUBLISH packets for the parser and the encoder, and the chunks they arrive in.
import { generate } from "mqtt-packet";

export const CHUNK = 65536;
export const TOPIC = "/a1b2c3d4e5/device-01/get/u"; // 27 bytes
const PAYLOAD = Buffer.alloc(64, "0123456789abcdef");
const FOUR_PROPERTIES = {
  payloadFormatIndicator: false,
  messageExpiryInterval: 3600,
  contentType: "application/json",
  userProperties: { trace: "7c2d9e10" },
};

export const samples = [
  { name: "3.1.1", level: 4, bar: 25e6 },
  { name: "5.0, no properties", level: 5 },
  { name: "5.0, four properties", level: 5, properties: FOUR_PROPERTIES, bar: 15e6 },
];

export const publishOf = ({ properties }) => ({
  cmd: "publish",
  topic: TOPIC,
  payload: PAYLOAD,
  qos: 0,
  retain: false,
  dup: false,
  properties,
});

/** As many whole packets as a chunk of 64 KiB holds. */
export function chunkOf(sample) {
  const packet = generate(publishOf(sample), { protocolVersion: sample.level });
  const count = Math.floor(CHUNK / packet.length);
  return { chunk: Buffer.concat(Array.from({ length: count }, () => packet)), count, size: packet.length };
}
