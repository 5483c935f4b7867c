// What a CONNECT may carry besides its sign-in: User Properties of its own and of its Will [V5-7], the Will's request
// properties [V5-8], and in strict 3.x no Will at all [SESS-5]. Of a PUBLISH the core looks at the same bounds.
import type { ConnectRefusal, ConnectRequest } from "../../access/policy.ts";
import type { Properties } from "../../protocol/properties.ts";
import type { PlatformSettings } from "../settings/settings.ts";

const TOO_MANY = 0x97;
const NOT_LIKE_THAT = 0x83;
/** Of a key, in words about it; UTF-16 units. */
const MOST_OF_KEY = 32;

/** Why a CONNECT is refused for what it carries; undefined: it is not. */
export function propertyRefusal(
  { level, properties, will }: ConnectRequest,
  { v5, sessions }: PlatformSettings,
): ConnectRefusal | undefined {
  if (level !== 5) {
    if (will === undefined || !sessions.strict3x) return undefined;
    return { ok: false, code3: 2, reason: NOT_LIKE_THAT, detail: "a Will in 3.x" };
  }
  const own = excessOf(properties, v5);
  const excess = own ?? (will && excessOf(will.properties, v5));
  if (excess === undefined) return undefined;
  const { reason, property, fault } = excess;
  const reasonString = `${property} of ${own === undefined ? "the Will" : "CONNECT"}: ${fault}`;
  return { ok: false, code3: 2, reason, reasonString };
}

/** The same of what the server's side sends, in words that name the field [V5-7]. */
export function propertyFault(properties: Properties, bounds: PlatformSettings["v5"]): string | undefined {
  const excess = excessOf(properties, bounds);
  return excess && `properties.${excess.field}: ${excess.fault}`;
}

interface Excess {
  readonly reason: typeof TOO_MANY | typeof NOT_LIKE_THAT;
  /** As MQTT calls it, and as embedders do. */
  readonly property: string;
  readonly field: string;
  readonly fault: string;
}

/** The first that is beyond the bounds of [V5-7] and [V5-8]. */
function excessOf(
  { userProperties = [], responseTopic, correlationData }: Properties,
  bounds: PlatformSettings["v5"],
): Excess | undefined {
  const { maxUserProperties, maxUserPropertyCharacters, maxResponseTopic, maxCorrelationBytes } = bounds;
  if (userProperties.length > maxUserProperties) {
    const fault = `${userProperties.length} are more than ${maxUserProperties}`;
    return { reason: TOO_MANY, property: "User Properties", field: "userProperties", fault };
  }
  for (const [i, [key, value]] of userProperties.entries()) {
    const size = characters(key) + characters(value);
    const fault = key.startsWith("_")
      ? `the key ${JSON.stringify(beginning(key))} begins with "_"`
      : size > maxUserPropertyCharacters
        ? `key and value have ${size} characters, more than ${maxUserPropertyCharacters}`
        : undefined;
    if (fault === undefined) continue;
    const property = `User Property ${i + 1}`;
    return { reason: NOT_LIKE_THAT, property, field: `userProperties[${i}]`, fault };
  }
  const topicSize = responseTopic === undefined ? 0 : characters(responseTopic);
  if (topicSize > maxResponseTopic) {
    const fault = `${topicSize} characters are more than ${maxResponseTopic}`;
    return { reason: NOT_LIKE_THAT, property: "Response Topic", field: "responseTopic", fault };
  }
  const dataSize = correlationData?.length ?? 0;
  if (dataSize > maxCorrelationBytes) {
    const fault = `${dataSize} bytes are more than ${maxCorrelationBytes}`;
    return { reason: NOT_LIKE_THAT, property: "Correlation Data", field: "correlationData", fault };
  }
  return undefined;
}

/** A key may be as long as a packet. */
function beginning(key: string): string {
  return key.length > MOST_OF_KEY ? `${key.slice(0, MOST_OF_KEY)}…` : key;
}

/** Unicode code points. */
function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
