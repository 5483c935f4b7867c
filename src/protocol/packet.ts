// Packets as typed objects, the same for sending and receiving. What 3.1 and 3.1.1 do not have (properties, most
// reason codes) is ignored when such a packet is encoded, and absent when it was read.
import type { ProtocolLevel, Qos } from "./packet-types.ts";
import type { Properties } from "./properties.ts";

export interface Will {
  topic: string;
  payload: Uint8Array;
  qos: Qos;
  retain: boolean;
  properties?: Properties;
}

export interface ConnectPacket {
  type: "connect";
  level: ProtocolLevel;
  clientId: string;
  /** Clean Session before 5.0 */
  cleanStart: boolean;
  /** s; 0: off */
  keepAlive: number;
  username?: string;
  password?: Uint8Array;
  will?: Will;
  properties?: Properties;
}

export interface ConnackPacket {
  type: "connack";
  sessionPresent: boolean;
  reasonCode: number;
  properties?: Properties;
}

export interface PublishPacket {
  type: "publish";
  topic: string;
  payload: Uint8Array;
  qos: Qos;
  retain: boolean;
  dup: boolean;
  /** 0 with QoS 0 */
  packetId: number;
  properties?: Properties;
}

export interface AckPacket {
  type: "puback" | "pubrec" | "pubrel" | "pubcomp";
  packetId: number;
  reasonCode: number;
  properties?: Properties;
}

export interface Subscription {
  filter: string;
  qos: Qos;
  noLocal: boolean;
  retainAsPublished: boolean;
  retainHandling: 0 | 1 | 2;
  /** DETAIL_* code of a syntax error: to be refused with 0x8F. Set by readPacket only. */
  defect?: number;
}

export interface SubscribePacket {
  type: "subscribe";
  packetId: number;
  subscriptions: Subscription[];
  properties?: Properties;
}

export interface SubackPacket {
  type: "suback";
  packetId: number;
  reasonCodes: number[];
  properties?: Properties;
}

export interface UnsubscribePacket {
  type: "unsubscribe";
  packetId: number;
  filters: string[];
  /** DETAIL_* codes of syntax errors by index in `filters`. Set by readPacket only. */
  defects?: Map<number, number>;
  properties?: Properties;
}

export interface UnsubackPacket {
  type: "unsuback";
  packetId: number;
  /** empty before 5.0 */
  reasonCodes: number[];
  properties?: Properties;
}

export interface PingPacket {
  type: "pingreq" | "pingresp";
}

export interface DisconnectPacket {
  type: "disconnect";
  reasonCode: number;
  properties?: Properties;
}

export interface AuthPacket {
  type: "auth";
  reasonCode: number;
  properties?: Properties;
}

export type Packet =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | SubackPacket
  | UnsubscribePacket
  | UnsubackPacket
  | PingPacket
  | DisconnectPacket
  | AuthPacket;
