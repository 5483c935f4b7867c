// The properties of MQTT 5.0 (2.2.2.2): identifier, name, type, where they may stand. Tables and types only.
// The core has the same table in assembly/codec/properties.ts; a test holds the two together.
import type { PacketName } from "./packet-types.ts";

/** A name and a value; order and repetition have a meaning [MQTT-3.3.2-18]. */
export type UserProperty = [name: string, value: string];

export interface Properties {
  payloadFormatIndicator?: number;
  /** s */
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  /** One in SUBSCRIBE, one or more in a PUBLISH to a client. */
  subscriptionIdentifiers?: number[];
  /** s; 0xFFFFFFFF: never */
  sessionExpiryInterval?: number;
  assignedClientIdentifier?: string;
  /** s */
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  requestProblemInformation?: number;
  /** s */
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
  userProperties?: UserProperty[];
  /** bytes */
  maximumPacketSize?: number;
  wildcardSubscriptionAvailable?: number;
  subscriptionIdentifiersAvailable?: number;
  sharedSubscriptionAvailable?: number;
}

export type PropertyName = keyof Properties;
export type PropertyType = "byte" | "u16" | "u32" | "varint" | "string" | "binary" | "pair";
/** Where a property can stand: a packet, or the will's properties inside CONNECT. */
export type PropertyPlace = PacketName | "will";

export interface PropertySpec {
  readonly id: number;
  readonly name: PropertyName;
  readonly type: PropertyType;
  readonly places: readonly PropertyPlace[];
  /** flag: 0 or 1; notZero; topic: a topic name without wildcards */
  readonly rule?: "flag" | "notZero" | "topic";
}

const ACKS: PropertyPlace[] = ["puback", "pubrec", "pubrel", "pubcomp"];
const REASONED: PropertyPlace[] = ["connack", ...ACKS, "suback", "unsuback", "disconnect", "auth"];
const MESSAGE: PropertyPlace[] = ["publish", "will"];
const HANDSHAKE: PropertyPlace[] = ["connect", "connack"];

export const PROPERTIES: readonly PropertySpec[] = [
  { id: 1, name: "payloadFormatIndicator", type: "byte", places: MESSAGE, rule: "flag" },
  { id: 2, name: "messageExpiryInterval", type: "u32", places: MESSAGE },
  { id: 3, name: "contentType", type: "string", places: MESSAGE },
  { id: 8, name: "responseTopic", type: "string", places: MESSAGE, rule: "topic" },
  { id: 9, name: "correlationData", type: "binary", places: MESSAGE },
  {
    id: 11,
    name: "subscriptionIdentifiers",
    type: "varint",
    places: ["publish", "subscribe"],
    rule: "notZero",
  },
  { id: 17, name: "sessionExpiryInterval", type: "u32", places: [...HANDSHAKE, "disconnect"] },
  { id: 18, name: "assignedClientIdentifier", type: "string", places: ["connack"] },
  { id: 19, name: "serverKeepAlive", type: "u16", places: ["connack"] },
  { id: 21, name: "authenticationMethod", type: "string", places: [...HANDSHAKE, "auth"] },
  { id: 22, name: "authenticationData", type: "binary", places: [...HANDSHAKE, "auth"] },
  { id: 23, name: "requestProblemInformation", type: "byte", places: ["connect"], rule: "flag" },
  { id: 24, name: "willDelayInterval", type: "u32", places: ["will"] },
  { id: 25, name: "requestResponseInformation", type: "byte", places: ["connect"], rule: "flag" },
  { id: 26, name: "responseInformation", type: "string", places: ["connack"] },
  { id: 28, name: "serverReference", type: "string", places: ["connack", "disconnect"] },
  { id: 31, name: "reasonString", type: "string", places: REASONED },
  { id: 33, name: "receiveMaximum", type: "u16", places: HANDSHAKE, rule: "notZero" },
  { id: 34, name: "topicAliasMaximum", type: "u16", places: HANDSHAKE },
  { id: 35, name: "topicAlias", type: "u16", places: ["publish"], rule: "notZero" },
  { id: 36, name: "maximumQos", type: "byte", places: ["connack"], rule: "flag" },
  { id: 37, name: "retainAvailable", type: "byte", places: ["connack"], rule: "flag" },
  {
    id: 38,
    name: "userProperties",
    type: "pair",
    places: ["will", "connect", "publish", "subscribe", "unsubscribe", ...REASONED],
  },
  { id: 39, name: "maximumPacketSize", type: "u32", places: HANDSHAKE, rule: "notZero" },
  { id: 40, name: "wildcardSubscriptionAvailable", type: "byte", places: ["connack"], rule: "flag" },
  { id: 41, name: "subscriptionIdentifiersAvailable", type: "byte", places: ["connack"], rule: "flag" },
  { id: 42, name: "sharedSubscriptionAvailable", type: "byte", places: ["connack"], rule: "flag" },
];

const byId: (PropertySpec | undefined)[] = [];
const byName = new Map<string, PropertySpec>();
for (const spec of PROPERTIES) {
  byId[spec.id] = spec;
  byName.set(spec.name, spec);
}

export function propertyById(id: number): PropertySpec | undefined {
  return byId[id];
}

export function propertyByName(name: string): PropertySpec | undefined {
  return byName.get(name);
}
