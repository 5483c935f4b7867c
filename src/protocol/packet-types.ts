// The packet types of MQTT and their names. Tables only.

/** Packet type nibble by name. */
export const PacketType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;

export type PacketName = keyof typeof PacketType;

/** Name by packet type nibble; 0 is no packet. */
export const PACKET_NAMES: readonly (PacketName | undefined)[] = [
  undefined,
  ...(Object.keys(PacketType) as PacketName[]),
];

/** 3 is MQTT 3.1 (MQIsdp), 4 is 3.1.1, 5 is 5.0. */
export type ProtocolLevel = 3 | 4 | 5;

export type Qos = 0 | 1 | 2;
