// What a CONNECT may carry besides its sign-in: User Properties of its own and of its Will [V5-7], the Will's request
// properties [V5-8], and in strict 3.x no Will at all [SESS-5]. Of a PUBLISH the core looks at the same bounds.
import type { ConnectRefusal, ConnectRequest } from "../access/policy.ts";
import type { Properties } from "../protocol/properties.ts";
import type { PlatformSettings } from "./settings.ts";

const TOO_MANY = 0x97;
const NOT_LIKE_THAT = 0x83;

/** Why a CONNECT is refused for what it carries; undefined: it is not. */
export function connectDefect(
  { level, properties, will }: ConnectRequest,
  { v5, sessions }: PlatformSettings,
): ConnectRefusal | undefined {
  if (level !== 5) {
    if (will === undefined || !sessions.strict3x) return undefined;
    return { ok: false, code3: 2, reason: NOT_LIKE_THAT, detail: "a Will in 3.x" };
  }
  const reason = propertyDefect(properties, v5) ?? (will && propertyDefect(will.properties, v5));
  if (reason === undefined) return undefined;
  const reasonString =
    reason === TOO_MANY ? "Too many User Properties" : "A property is too long or not allowed";
  return { ok: false, code3: 2, reason, reasonString };
}

/** The same of what the server's side sends, in words that name the field [V5-7]. */
export function propertyFault(
  { userProperties = [], responseTopic, correlationData }: Properties,
  bounds: PlatformSettings["v5"],
): string | undefined {
  const { maxUserProperties, maxUserPropertyCharacters, maxResponseTopic, maxCorrelationBytes } = bounds;
  if (userProperties.length > maxUserProperties)
    return `properties.userProperties: ${userProperties.length} are more than ${maxUserProperties}`;
  for (const [i, [key, value]] of userProperties.entries()) {
    const field = `properties.userProperties[${i}]`;
    if (key.startsWith("_")) return `${field}: the key ${JSON.stringify(key)} begins with "_"`;
    const size = characters(key) + characters(value);
    if (size > maxUserPropertyCharacters)
      return `${field}: key and value have ${size} characters, more than ${maxUserPropertyCharacters}`;
  }
  const topicSize = responseTopic === undefined ? 0 : characters(responseTopic);
  if (topicSize > maxResponseTopic)
    return `properties.responseTopic: ${topicSize} characters are more than ${maxResponseTopic}`;
  const dataSize = correlationData?.length ?? 0;
  if (dataSize > maxCorrelationBytes)
    return `properties.correlationData: ${dataSize} bytes are more than ${maxCorrelationBytes}`;
  return undefined;
}

/** Reason code for properties beyond the bounds of [V5-7] and [V5-8]. */
function propertyDefect(
  { userProperties = [], responseTopic, correlationData }: Properties,
  bounds: PlatformSettings["v5"],
): number | undefined {
  if (userProperties.length > bounds.maxUserProperties) return TOO_MANY;
  for (const [key, value] of userProperties)
    if (key.startsWith("_") || characters(key) + characters(value) > bounds.maxUserPropertyCharacters)
      return NOT_LIKE_THAT;
  if (responseTopic !== undefined && characters(responseTopic) > bounds.maxResponseTopic)
    return NOT_LIKE_THAT;
  if (correlationData !== undefined && correlationData.length > bounds.maxCorrelationBytes)
    return NOT_LIKE_THAT;
  return undefined;
}

/** Unicode code points. */
function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
